"""Single convolutions in PyTorch: what `cargo xtask bench convolution --peer PYTHON` is measured against.
Needs: torch. Threads: --threads (default 2).

Reads lines `INPUTS OUTPUTS SIDE KERNEL STRIDE BATCH READING COUNT` from the standard input, and answers each with a line: a JSON list of
the seconds of as many calls. READING is `forward`, `transposed` (the gradient in the input) or `weight` (the gradient in the weight).
"""
import argparse
import json
import sys
import time

import torch
import torch.nn.functional as F


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    torch.manual_seed(0)
    known = {}

    def operands(inputs, outputs, side, kernel, stride, batch):
        x = torch.randn(batch, inputs, side, side)
        weight = torch.randn(outputs, inputs, kernel, kernel)
        return x, weight, F.conv2d(x, weight, None, stride, kernel // 2)

    def call(shape, reading):
        x, weight, z = known[shape]
        kernel, stride = shape[3], shape[4]
        if reading == "forward":
            return F.conv2d(x, weight, None, stride, kernel // 2)
        wanted = [reading == "transposed", reading == "weight", False]
        steps, padding = [stride] * 2, [kernel // 2] * 2
        return torch.ops.aten.convolution_backward(z, x, weight, None, steps, padding, [1, 1], False, [0, 0], 1, wanted)

    for line in sys.stdin:
        *shape, reading, count = line.split()
        shape = tuple(map(int, shape))
        if shape not in known:
            known = {shape: operands(*shape)}
        seconds = []
        with torch.no_grad():
            for _ in range(int(count)):
                start = time.perf_counter()
                call(shape, reading)
                seconds.append(time.perf_counter() - start)
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
