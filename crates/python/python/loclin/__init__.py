"""Locally linear deep networks: find, bound and enlarge the regions in which a network's gradient is constant.

A network made of ReLUs and their kin cuts its input space into convex regions, and in each of them its gradient is constant.
``loclin`` finds how far around an input the gradient stays constant, which neuron ends it, and proves how much can change beyond.

>>> import loclin, numpy as np
>>> weights = [(np.array([[1.0, -1.0], [0.5, 2.0]]), np.zeros(2)), (np.array([[1.0, -1.0]]), np.zeros(1))]
>>> net = loclin.from_weights(weights)
>>> found = net.certify(np.array([[2.0, 1.0]]), norms=(2,))
>>> round(float(found.eps["2"][0]), 6), found.guarantee
(0.707107, 'proved')

All arrays may be NumPy's, PyTorch's, or anything with ``__array__`` or DLPack; answers are NumPy's. Computation is in float64.
"""

from __future__ import annotations

import os as _os

# Threads of element-wise operations, which spin while they wait: one is the fastest beside those of matrix products.
_os.environ.setdefault("CANDLE_NUM_THREADS", "1")

from ._native import (  # noqa: E402
    InternalError,
    ModelError,
    NotFiniteError,
    ShapeError,
    UnsupportedOperator,
    __version__,
)
from .attribution import Attribution, IntegratedGradients  # noqa: E402
from .loading import from_onnx, from_torch, from_weights, load  # noqa: E402
from ._arrays import LoclinWarning  # noqa: E402
from .network import Network  # noqa: E402
from .results import Bounds, Certificates, Distortions, Largest, Polyhedron, RegionCount, Steps  # noqa: E402

__all__ = [
    "Attribution",
    "Bounds",
    "Certificates",
    "Distortions",
    "IntegratedGradients",
    "InternalError",
    "Largest",
    "LoclinWarning",
    "ModelError",
    "Network",
    "NotFiniteError",
    "Polyhedron",
    "RegionCount",
    "ShapeError",
    "Steps",
    "UnsupportedOperator",
    "__version__",
    "from_onnx",
    "from_torch",
    "from_weights",
    "load",
]
