"""Integrated gradients, exact and by Captum's quadrature, on the kind of network of its own tutorial: a table in Markdown.

Captum's tutorial on the Titanic explains a fully connected network on 12 features; this one has ReLUs, 12 features and two classes.
"""

import time

import numpy as np
import torch
from captum.attr import IntegratedGradients

import loclin

torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Linear(12, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2)
)
features = torch.randn(2000, 12)
classes = ((features[:, 0] * features[:, 1] + features[:, 2:6].sum(1)) > 0).long()
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
for _ in range(300):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(features), classes).backward()
    optimizer.step()
model.double().eval()
x = features[:50].double()
with torch.no_grad():
    difference = (model(x) - model(torch.zeros_like(x)))[:, 1].numpy()

net = loclin.from_torch(model, x, exporter="legacy")
own = loclin.IntegratedGradients(net)
own.attribute(x[:1], target=1)
start = time.perf_counter()
exact = own.explain(x, target=1)
rows = [("loclin, exact", exact.values, time.perf_counter() - start)]
captum = IntegratedGradients(model)
for steps in (50, 2000):
    start = time.perf_counter()
    values = captum.attribute(x, target=1, n_steps=steps, internal_batch_size=4096).detach().numpy()
    rows.append((f"Captum, {steps} steps", values, time.perf_counter() - start))

print("| method | completeness error, median | largest | largest distance to the exact values | time for 50 inputs |")
print("|---|---|---|---|---|")
for name, values, seconds in rows:
    error = np.abs(values.sum(1) - difference) / np.abs(difference)
    distance = np.abs(values - exact.values).max()
    shown = f"{distance:.1e}" if values is not exact.values else f"proved: at most {exact.errors.max():.1e}"
    print(f"| {name} | {np.median(error):.1e} | {error.max():.1e} | {shown} | {seconds:.2f} s |")
