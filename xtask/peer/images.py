"""Images as an .npy file [N, 3, SIZE, SIZE] with pixels in [0, 1], from a file in the layout of CIFAR-10 (binary version).
Needs: numpy; for another size than 32 also torch (bilinear enlargement).

  images.py cifar-10-batches-bin/test_batch.bin images.npy --limit 100
  images.py cifar-10-batches-bin/test_batch.bin large.npy --limit 16 --size 299
"""
import argparse

import numpy as np

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("batch")
parser.add_argument("out")
parser.add_argument("--limit", type=int, default=100)
parser.add_argument("--size", type=int, default=32)
a = parser.parse_args()

rows = np.fromfile(a.batch, np.uint8).reshape(-1, 3073)[: a.limit]
images = rows[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255
if a.size != 32:
    import torch

    images = torch.nn.functional.interpolate(torch.from_numpy(images), size=a.size, mode="bilinear").numpy()
np.save(a.out, images)
print(a.out, images.shape)
