"""Every question, held to NumPy's own arithmetic on a small fully connected network."""

import copy
import pickle

import numpy as np
import pytest

import loclin


def reference(weights, x):
    """Values of the neurons, their gradients, and outputs with their Jacobian, layer by layer."""
    values, gradients, a, jacobian = [], [], x, np.eye(len(x))
    for weight, bias in weights[:-1]:
        z, jacobian = weight @ a + bias, weight @ jacobian
        values.append(z)
        gradients.append(jacobian)
        on = z >= 0
        a, jacobian = np.where(on, z, 0), jacobian * on[:, None]
    weight, bias = weights[-1]
    return np.concatenate(values), np.concatenate(gradients), weight @ a + bias, weight @ jacobian


DUAL = {"1": np.inf, "2": 2, "inf": 1}


def test_margins_are_distances_to_the_nearest_boundary(net, weights, x):
    found = net.certify(x)
    assert found.guarantee == "proved" and set(found.guarantees.values()) == {"proved"}
    assert len(found) == 20 and found.neurons == 32 and list(found.eps) == ["1", "2", "inf"]
    for index, point in enumerate(x):
        z, gradient, output, _ = reference(weights, point)
        np.testing.assert_allclose(found.outputs[index], output, rtol=1e-12)
        assert found.predictions[index] == output.argmax()
        for p, q in DUAL.items():
            distances = np.abs(z) / np.linalg.norm(gradient, ord=q, axis=1)
            # A radius is less by what rounding can have done.
            assert found.eps[p][index] <= distances.min() * (1 + 1e-15)
            np.testing.assert_allclose(found.eps[p][index], distances.min(), rtol=1e-9)
            layer, unit = divmod(int(distances.argmin()), 16)
            assert (found.layer[p][index], found.neuron[p][index]) == (f"relu.{layer}", unit)
    assert all(position == "inside" for position in found.position["2"])


def test_upper_bounds_and_other_ways_agree(net, x):
    found = net.certify(x, norms=(2,), upper=True)
    assert (found.eps["2"] <= found.upper["2"]).all()
    np.testing.assert_allclose(found.upper["2"], found.eps["2"], rtol=1e-9)
    np.testing.assert_allclose(net.certify(x, 2, method="all").eps["2"], found.eps["2"], rtol=1e-9)
    single = net.certify(x, norms=(2,), deployed="f32")
    assert single.guarantee == "deployed(f32)" and (single.eps["2"] <= found.eps["2"]).all()


def test_a_box_only_makes_radii_larger(net):
    x = np.random.default_rng(3).uniform(size=(10, 4))
    whole, cut = net.certify(x), net.certify(x, box=(0, 1))
    ends = net.certify(x, box=(np.zeros(4), np.ones(4)))
    for p in DUAL:
        assert (cut.eps[p] >= whole.eps[p]).all()
        np.testing.assert_array_equal(cut.eps[p], ends.eps[p])
    assert cut.domain == "0 to 1" and whole.domain == ""
    with pytest.raises(ValueError, match="outside the domain"):
        net.certify(x + 1, box=(0, 1))


def test_gradients_and_jacobians(net, weights, x):
    jacobians = net.jacobian(x)
    assert jacobians.shape == (20, 3, 4)
    for index, point in enumerate(x):
        np.testing.assert_allclose(jacobians[index], reference(weights, point)[3], rtol=1e-12, atol=1e-14)
    predicted = net(x).argmax(1)
    np.testing.assert_array_equal(net.gradient(x), jacobians[np.arange(20), predicted])
    np.testing.assert_array_equal(net.gradient(x, target=2), jacobians[:, 2])
    np.testing.assert_array_equal(net.gradient(x, target=predicted), net.gradient(x))
    assert net.gradient(x[0]).shape == (1, 4)


def test_the_polyhedron_is_the_region(net, weights, x):
    region = net.polyhedron(x[0])
    assert region.normals.shape == (32, 4)
    z, gradient, *_ = reference(weights, x[0])
    signs = np.where(z >= 0, 1, -1)
    np.testing.assert_allclose(region.normals, gradient * signs[:, None], atol=1e-12)
    np.testing.assert_allclose(region.slack(x[0]), np.abs(z), atol=1e-12)
    assert region.contains(x[0]) and not region.contains(x[0] + 100)
    assert region.contains(x).shape == (20,)
    radius = (region.slack(x[0]) / np.linalg.norm(region.normals, axis=1)).min()
    np.testing.assert_allclose(net.certify(x[:1]).eps["2"][0], radius, rtol=1e-9)


def test_steps_along_directions(net, weights, x):
    directions = np.random.default_rng(5).normal(size=(6, 4))
    found = net.margins_along(x, directions)
    assert found.step.shape == (20, 6) and found.guarantee == "proved"
    for index, point in enumerate(x):
        z, gradient, *_ = reference(weights, point)
        speed = gradient @ directions.T
        steps = np.where(np.sign(speed) == -np.sign(z)[:, None], np.abs(z)[:, None] / np.abs(speed), np.inf).min(0)
        np.testing.assert_allclose(found.step[index], steps, rtol=1e-9)
    own = net.margins_along(x, np.broadcast_to(directions, (20, 6, 4)))
    np.testing.assert_allclose(own.step, found.step, rtol=1e-12)


def test_regions_are_counted(net, weights, x):
    twice = np.concatenate([x, x])
    count = net.count_regions(twice)
    patterns = {tuple(reference(weights, point)[0] >= 0) for point in x}
    assert (count.points, count.upper) == (40, len(patterns)) and 1 <= count.lower <= count.upper
    assert (count.region[:20] == count.region[20:]).all()


def test_bounds_hold_at_random_points(net, x):
    points, eps = x[:3], [0.05, 0.2]
    found = net.bound(points, eps, parts=200)
    assert found.found.shape == (3, 2) and (found.found <= found.proved * (1 + 1e-12)).all()
    random = np.random.default_rng(0)
    for index, point in enumerate(points):
        centre = net.gradient(point, found.target[index])[0]
        for column, radius in enumerate(eps):
            inside = point + random.uniform(-radius, radius, size=(500, 4))
            changes = np.abs(net.gradient(inside, found.target[index]) - centre).sum(1)
            assert changes.max() <= found.proved[index, column] + 1e-12
            there = found.witness[index, column]
            assert np.abs(there - point).max() <= radius * (1 + 1e-12)
            at = np.abs(net.gradient(there, found.target[index])[0] - centre).sum()
            np.testing.assert_allclose(at, found.found[index, column], atol=1e-12)


def test_other_bounds(net, x):
    for what in ("lipschitz", "operator", "sign", "top-k", "class"):
        found = net.bound(x[:2], 0.1, what, top=2 if what == "top-k" else None, parts=200)
        assert found.what == what and (found.found <= found.proved + 1e-12).all()
    signs = net.bound(x[:1], 0.1, "sign", parts=200)
    assert signs.may_change_sign.shape == (1, 1, 4)
    with pytest.raises(ValueError, match="what: expected change"):
        net.bound(x[:1], 0.1, "other")


@pytest.mark.parametrize("what", ["change", "lipschitz", "operator", "sign"])
def test_balls_know_what_margins_say(net, x, what):
    margin = net.certify(x[:8], norms=["inf"]).eps["inf"]
    for at, eps in enumerate(margin):
        found = net.bound(x[at : at + 1], [eps], what, time=0)
        assert found.margin[0] == eps and found.exact.all()
        centre = net.bound(x[at : at + 1], [0.0], what, time=0)
        np.testing.assert_array_equal(found.proved, centre.proved)
    largest = net.largest(x[:8], None if what == "sign" else "1%", what, parts=1)
    assert (largest.proved >= largest.margin).all()
    assert all((np.diff(np.asarray(curve)[:, 0]) > 0).all() for curve in largest.curve)


def test_the_largest_radius(net, x):
    found = net.largest(x[:3], change="25%", parts=200)
    assert (found.proved >= found.margin * 0.99).all() and (found.proved <= found.refuted).all()
    assert found.curve[0].shape[1] == 3
    stays = net.largest(x[:2], what="class", parts=200)
    assert (stays.proved >= 0).all()
    with pytest.raises(ValueError, match="change: what is allowed"):
        net.largest(x[:1])
    with pytest.raises(ValueError, match="change: not for"):
        net.largest(x[:1], change=0.1, what="class")


def test_distortion_is_below_what_is_proved(net, x):
    found = net.distortion(x[:2], 0.2, samples=200, population=40, generations=3)
    proved = net.bound(x[:2], 0.2, target=found.target, parts=500)
    assert (found.mean <= found.largest).all() and (found.largest <= proved.proved[:, 0] + 1e-9).all()
    assert (np.abs(found.worst - x[:2]) <= 0.2 + 1e-12).all()


def test_integrated_gradients_are_complete(net, x):
    ig = loclin.IntegratedGradients(net)
    found = ig.explain(x, target=1)
    np.testing.assert_allclose(found.values.sum(1), net(x)[:, 1] - net(np.zeros((1, 4)))[0, 1], rtol=1e-10)
    assert found.guarantee == "proved" and found.completeness_error.max() < 1e-10 and found.errors.max() < 1e-9
    approximate = ig.attribute(x, 1, exact=False, n_steps=4000)
    np.testing.assert_allclose(approximate, found.values, atol=5e-3)
    from_one = ig.attribute(x, 1, baselines=np.ones(4))
    np.testing.assert_allclose(from_one.sum(1), net(x)[:, 1] - net(np.ones((1, 4)))[0, 1], rtol=1e-9)
    np.testing.assert_array_equal(ig.attribute(x), ig.attribute(x, target=net(x).argmax(1)))


def test_a_plane_is_tiled(net, x):
    u, v = np.eye(4)[:2]
    polygons = net.plane(x[0], u, v, (-1, 1, -2, 2))

    def area(p):
        a, b = p, np.roll(p, -1, axis=0)
        return abs(np.sum(a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1])) / 2

    np.testing.assert_allclose(sum(map(area, polygons)), 8, rtol=1e-6)
    middles = np.array([polygon.mean(0) for polygon in polygons])
    assert len(polygons) == net.count_regions(x[0] + middles @ np.stack([u, v])).upper


def test_roll_is_the_mean_of_the_neurons(net, weights, x):
    losses = []
    for point in x:
        z, gradient, *_ = reference(weights, point)
        losses.append((gradient**2).sum(1) + 0.5 * np.maximum(0, 1 - np.abs(z)))
    np.testing.assert_allclose(net.roll(x, c=0.5), np.mean(losses), rtol=1e-12)
    np.testing.assert_allclose(net.roll(x, c=0.5, gamma="max"), np.max(losses, axis=1).mean(), rtol=1e-12)


def test_a_bar_says_how_far_a_long_proof_is(evidence, monkeypatch):
    from loclin import _progress

    told = []

    class Bar:
        n = 0

        def set_postfix_str(self, now, refresh):
            told.append(now)

        def update(self, more):
            self.n += more
            told.append(self.n)

        def close(self):
            told.append("closed")

    monkeypatch.setattr(_progress, "_bar", lambda total, progress: Bar())
    x = np.load(evidence / "residual.npy")
    loclin.load(evidence / "residual.onnx").certify(x, method="bound")
    assert told[-2:] == [len(x), "closed"]
    assert told[-3].startswith("100% of a proof, ")


def test_no_sign_changes_inside_the_region():
    weights = [(np.array([[1.0, 0, 0], [0, 1, 0]]), np.ones(2)), (np.ones((1, 2)), np.zeros(1))]
    net = loclin.from_weights(weights)
    # The third number of the gradient is 0.
    found = net.bound([[1.0, 1, 1]], [0.1], "sign")
    assert found.margin[0] > 1.9 and found.proved[0, 0] == 0
    assert net.largest([[1.0, 1, 1]], what="sign", up_to=1.0).proved[0] == 1.0


def test_the_largest_radius_says_where_more_was_found():
    net = loclin.from_weights([(np.eye(2), np.zeros(2)), (np.array([[3.0, -2.0]]), np.zeros(1))])
    found = net.largest([[1.0, 0.5]], "10%")
    assert found.proved[0] <= found.refuted[0] <= 1.0


def test_networks_are_copied_and_pickled(net):
    x = np.zeros((1, *net.input_shape))
    for own in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(own(x), net(x))


class Named(loclin.Network):
    """A network with something of its own."""


def test_networks_of_a_subclass_are_copied_and_pickled(weights, x):
    net = Named(loclin.from_weights(weights)._native)
    net.title = "its own"
    for again in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert type(again) is Named and again.title == "its own"
        np.testing.assert_array_equal(again.certify(x).eps["2"], net.certify(x).eps["2"])


def test_results_are_compared_as_objects(net):
    x = np.zeros((1, *net.input_shape))
    one, other = net.certify(x), net.certify(x)
    assert one == one and one != other and len({one, other}) == 2
    with pytest.raises(ValueError, match="n_steps"):
        loclin.IntegratedGradients(net).attribute(x, exact=False, n_steps=0)
