"""Pictures, where matplotlib is installed."""

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
matplotlib.use("Agg")


def test_all_pictures_are_drawn(net, x, tmp_path):
    import matplotlib.pyplot as plt

    from loclin import plots

    figure, axes = plt.subplots(2, 2)
    found = net.certify(x)
    plots.survival(found, axes[0, 0])
    steps = axes[0, 0].lines[0].get_ydata()
    assert steps[-1] == 0 and (np.diff(steps) <= 0).all()
    plots.attribution(net.gradient(x[:1]).reshape(2, 2), axes[0, 1], eps=found.eps["2"][0])
    plots.regions(net.plane(x[0], np.eye(4)[0], np.eye(4)[1]), axes[1, 0])
    plots.bound(net.bound(x[:1], [0.1, 0.2], parts=100), ax=axes[1, 1])
    figure.savefig(tmp_path / "all.png")
    with pytest.raises(ValueError, match="expected"):
        plots.attribution(np.zeros(3))
    plt.close("all")
    assert plots.survival(found) is not None
