"""Steps of training of a residual network in PyTorch: what `cargo xtask bench step --model resnet --peer PYTHON` is measured against.
Needs: torch. Threads: --threads (default 2).

Reads lines `OBJECTIVE COUNT` from the standard input, and answers each with a line: a JSON list of the seconds of as many steps.
OBJECTIVE is `vanilla` or `sampled`, ROLL (gamma = 100) with one random direction of signs for each image. The network is that of the
preset cifar10-vanilla, on one batch of 64 random images. --layout channels_last stores images so.
"""
import argparse
import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

LAMBDA, C = 0.1, 0.5


def normal(batch_norm, z, tangent):
    """Batch normalisation in training mode, and a tangent times its scale: the statistics are constants in the input."""
    if tangent is not None:
        scale = batch_norm.weight / (z.var((0, 2, 3), unbiased=False) + batch_norm.eps).sqrt()
        tangent = tangent * scale.view(1, -1, 1, 1)
    return batch_norm(z), tangent


def apply(convolution, tangent):
    return None if tangent is None else convolution(tangent)


class Network(nn.Module):
    def __init__(self, width=8, stages=3):
        super().__init__()
        convolution = lambda i, o, stride: nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.stem, self.stem_norm = convolution(3, width, 1), nn.BatchNorm2d(width)
        self.blocks = nn.ModuleList()
        inputs = width
        for stage in range(stages):
            outputs = width << stage
            parts = [convolution(inputs, outputs, 1 + (stage > 0)), nn.BatchNorm2d(outputs), convolution(outputs, outputs, 1), nn.BatchNorm2d(outputs)]
            self.blocks.append(nn.ModuleList(parts))
            inputs = outputs
        self.head = nn.Linear(inputs, 10)

    def forward(self, x, tangent=None):
        """Outputs; with a tangent also the sums of the regulariser, and the number of neurons."""
        sums, neurons = 0.0, 0

        def relu(z, tangent):
            nonlocal sums, neurons
            if tangent is not None:
                sums = sums + tangent.square().sum() + C * F.relu(1 - z.abs()).sum()
                neurons += z.numel()
                tangent = tangent * (z > 0)
            return F.relu(z), tangent

        x, tangent = relu(*normal(self.stem_norm, self.stem(x), apply(self.stem, tangent)))
        for first, first_norm, second, second_norm in self.blocks:
            shortcut = (x, tangent)
            if first.stride != (1, 1):
                more = first.out_channels - first.in_channels
                pad = (0, 0, 0, 0, more // 2, more - more // 2)
                shortcut = [None if t is None else F.pad(t[:, :, ::2, ::2], pad) for t in shortcut]
            z, t = relu(*normal(first_norm, first(x), apply(first, tangent)))
            z, t = normal(second_norm, second(z), apply(second, t))
            x, tangent = relu(z + shortcut[0], None if t is None else t + shortcut[1])
        return self.head(x.mean((2, 3))), sums, neurons


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layout", choices=["contiguous", "channels_last"], default="contiguous")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    layout = torch.channels_last if arguments.layout == "channels_last" else torch.contiguous_format
    network = Network().to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    x = torch.randn(64, 3, 32, 32).contiguous(memory_format=layout)
    y = torch.arange(64) % 10

    def step(objective):
        optimizer.zero_grad()
        tangent = None
        if objective == "sampled":
            tangent = (torch.randint(0, 2, x.shape) * 2.0 - 1.0).contiguous(memory_format=layout)
        output, sums, neurons = network(x, tangent)
        loss = F.cross_entropy(output, y)
        if neurons:
            loss = loss + LAMBDA * sums / neurons
        loss.backward()
        optimizer.step()

    for line in sys.stdin:
        objective, count = line.split()
        seconds = []
        for _ in range(int(count)):
            start = time.perf_counter()
            step(objective)
            seconds.append(time.perf_counter() - start)
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
