"""Makes pictures.safetensors: JPEG files of many widths and kinds, and the pixels that libjpeg finds in them.

    python -m venv env && env/bin/pip install numpy pillow safetensors && env/bin/python make.py
"""

import io

import numpy as np
import PIL
from PIL import Image, features
from safetensors.numpy import save_file

random = np.random.default_rng(13)
tensors = {}


def keep(name, data):
    with Image.open(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    tensors[name + ".jpg"] = np.frombuffer(data, np.uint8).copy()
    tensors[name + ".rgb"] = pixels.copy()


def encoded(pixels, **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", **options)
    return out.getvalue()


for width in range(1, 41):
    for kind in range(3):
        height = int(random.integers(1, 20))
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        progressive = bool(width % 2)
        data = encoded(pixels, quality=75, subsampling=kind, progressive=progressive)
        keep(f"{['444', '422', '420'][kind]}-{width}x{height}", data)
    if width % 5 == 0:
        height = 41 - width
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        keep(f"grey-{width}x{height}", encoded(pixels[:, :, 0], quality=40))
        keep(f"rgb-{width}x{height}", encoded(pixels, quality=85, keep_rgb=True))
        keep(f"411-{width}x{height}", encoded(pixels, quality=85, subsampling="4:1:1"))
        keep(f"restart-{width}x{height}", encoded(pixels, restart_marker_blocks=2))
        # 4:2:2 turned: the same blocks under the header of a picture whose colours are halved downwards.
        data = bytearray(encoded(pixels, quality=85, subsampling=1))
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = data[at + 7 : at + 9] + data[at + 5 : at + 7]
        data[at + 11] = 0x12
        keep(f"440-{height}x{width}", bytes(data))

made = {"pillow": PIL.__version__, "libjpeg-turbo": str(features.version("libjpeg_turbo"))}
save_file(tensors, "pictures.safetensors", made)
print(len(tensors) // 2, made)
