"""State space against closed forms: planes, linear maps and networks with known fixed points."""

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_score

from relayestimators import RNNClassifier
from relayestimators.datasets import make_memory_task
from relayestimators.dynamics import attractor_summary, end_points, silent_panel, trajectory_pca
from relayestimators.networks import RecurrentNetwork


def ragged(hidden, lengths):
    hidden = hidden.copy()
    for i, length in enumerate(lengths):
        hidden[i, length:] = np.nan
    return hidden


def some_states(shape=(30, 8, 5), seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_pca_finds_the_plane():
    rng = np.random.default_rng(0)
    plane = np.linalg.qr(rng.normal(size=(6, 2)))[0].T
    flat = rng.normal(size=(40, 9, 2)) * [3.0, 1.0]
    result = trajectory_pca(flat @ plane + 5, n_components=2)
    assert result.explained_variance_ratio.sum() == pytest.approx(1)
    assert result.explained_variance_ratio[0] == pytest.approx(0.9, abs=0.02)
    np.testing.assert_allclose(result.components @ result.components.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(result.scores @ result.components + result.mean, flat @ plane + 5)


def test_pca_agrees_with_the_covariance():
    hidden = some_states()
    result = trajectory_pca(hidden)
    states = hidden.reshape(-1, 5)
    variances = np.linalg.eigvalsh(np.cov(states.T))[::-1]
    np.testing.assert_allclose(result.explained_variance_ratio, variances[:3] / variances.sum())
    scores = (hidden - states.mean(axis=0)) @ result.components.T
    np.testing.assert_allclose(result.scores, scores)
    np.testing.assert_allclose(scores.reshape(-1, 3).var(axis=0, ddof=1), variances[:3])


def test_pca_of_unequal_lengths_leaves_out_padding():
    lengths = 3 + np.arange(30) % 6
    hidden, y = ragged(some_states(), lengths), np.array(list("ab"))[np.arange(30) // 15]
    result = trajectory_pca(hidden, y, n_components=2)
    np.testing.assert_array_equal(
        ~np.isnan(result.scores).any(axis=2), np.arange(8) < lengths[:, None]
    )
    present_states = np.concatenate([states[:n] for states, n in zip(hidden, lengths)])
    np.testing.assert_allclose(result.mean, present_states.mean(axis=0))
    assert result.classes.tolist() == ["a", "b"]
    for mean, label in zip(result.class_means, "ab"):
        for t in range(8):
            present = (y == label) & (lengths > t)
            np.testing.assert_allclose(mean[t], result.scores[present, t].mean(axis=0))
    short = trajectory_pca(hidden[lengths == 4], n_components=2)
    assert np.isnan(short.scores[:, 4:]).all()


def relaxing(points, y, factor, n_timepoints=6, seed=0):
    """Return states whose distance to the point of their class changes by a constant factor."""
    start = np.random.default_rng(seed).normal(size=(len(y), 1, points.shape[1]))
    return points[y][:, None] + start * factor ** np.arange(n_timepoints)[:, None]


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.2])
def test_contraction_is_the_factor_of_the_map(factor):
    y = np.arange(50) % 2
    hidden = relaxing(np.array([[-4.0, 0, 0], [4.0, 0, 0]]), y, factor)
    result = attractor_summary(hidden, y)
    np.testing.assert_allclose(result.contraction, factor ** np.arange(6))
    # |h(t) - h(t-1)| = |1 - factor| factor^(t-1) |start|
    length = np.linalg.norm(hidden[:, 0] - 4 * (2 * y[:, None] - 1) * [1, 0, 0], axis=1).mean()
    speed = abs(1 - factor) * factor ** np.arange(5) * length / result.scale
    np.testing.assert_allclose(result.speed, [np.nan, *speed], atol=1e-12)
    to_end = np.abs(factor ** np.arange(6) - factor**5) * length / result.scale
    np.testing.assert_allclose(result.distance_to_end, to_end, atol=1e-12)


def test_summary_by_the_definitions():
    y, lengths = np.arange(30) // 6 % 3, 3 + np.arange(30) % 6
    hidden = ragged(some_states(), lengths)
    result = attractor_summary(hidden, y, start=1, stop=7)
    assert result.timepoints.tolist() == [1, 2, 3, 4, 5, 6]
    window = hidden[:, 1:7].reshape(-1, 5)
    window = window[~np.isnan(window[:, 0])]
    scale = np.sqrt(window.var(axis=0).sum())
    assert result.scale == pytest.approx(scale)
    within = []
    for i, t in enumerate(range(1, 7)):
        present = lengths > t
        states, codes = hidden[present, t], y[present]
        groups = [states[codes == k] for k in range(3)]
        inside = sum(((g - g.mean(axis=0)) ** 2).sum() for g in groups)
        within.append(np.sqrt(inside / len(states)))
        total = ((states - states.mean(axis=0)) ** 2).sum()
        between = sum(len(g) * ((g.mean(axis=0) - states.mean(axis=0)) ** 2).sum() for g in groups)
        variances = np.linalg.eigvalsh(np.cov(states.T))
        before, to_end = hidden[present, t - 1], lengths > 6
        assert result.n_instances[i] == present.sum()
        assert result.within[i] == pytest.approx(within[-1] / scale)
        assert result.separation[i] == pytest.approx(between / total)
        assert result.silhouette[i] == pytest.approx(silhouette_score(states, codes))
        assert result.dimension[i] == pytest.approx(variances.sum() ** 2 / (variances**2).sum())
        speed = np.linalg.norm(states - before, axis=1).mean() / scale
        assert result.speed[i] == pytest.approx(speed)
        distance = np.linalg.norm(hidden[to_end, t] - hidden[to_end, 6], axis=1).mean() / scale
        assert result.distance_to_end[i] == pytest.approx(distance)
    np.testing.assert_allclose(result.contraction, np.array(within) / within[0])


@pytest.mark.parametrize("n_nodes", [4, 100])
def test_dimension_counts_equal_directions(n_nodes):
    """The number of directions is also right with more nodes than instances."""
    corners = np.zeros((8, 1, n_nodes))
    corners[:, 0, :3] = [[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
    y = np.arange(8) % 2
    assert attractor_summary(corners, y).dimension[0] == pytest.approx(3)
    assert attractor_summary(corners * ([1, 0] + [0] * (n_nodes - 2)), y).dimension[0] == 1


def test_separation_of_random_classes():
    y = np.arange(20) % 4
    means = [attractor_summary(some_states((20, 30, 3), s), y).separation.mean() for s in range(9)]
    assert np.mean(means) == pytest.approx(3 / 19, rel=0.1)


def test_separation_of_separate_classes_and_of_equal_states():
    y = np.arange(20) % 2
    apart = attractor_summary(np.tile(np.eye(3)[y][:, None], (1, 2, 1)), y)
    np.testing.assert_allclose(apart.separation, 1)
    np.testing.assert_allclose(apart.silhouette, 1)
    assert (apart.within == 0).all()
    assert np.isnan(apart.contraction).all()  # the distance within classes is 0 from the start
    still = attractor_summary(np.full((20, 3, 2), 0.1), y)
    assert still.scale == 0
    for name in ("speed", "within", "separation", "silhouette", "dimension"):
        assert np.isnan(still[name]).all()


def test_few_instances_and_classes_at_late_steps():
    hidden = ragged(some_states((6, 4, 3)), [4, 3, 3, 2, 2, 2])
    result = attractor_summary(hidden, [0, 0, 1, 1, 0, 1])
    assert result.n_instances.tolist() == [6, 6, 3, 1]
    assert np.isnan(result.silhouette[3])
    assert np.isfinite(result.silhouette[:3]).all()
    none_left = attractor_summary(ragged(some_states((4, 5, 3)), [3] * 4), [0, 1, 0, 1])
    assert none_left.n_instances.tolist() == [4, 4, 4, 0, 0]
    assert np.isnan(none_left.separation[3:]).all()
    assert np.isnan(none_left.distance_to_end).all()


def test_units_do_not_matter_to_ratios():
    y = np.arange(30) % 3
    one, other = (attractor_summary(s * some_states() + 7 * s, y) for s in (1, 100))
    for name in one.keys() - {"scale"}:
        np.testing.assert_allclose(one[name], other[name])
    assert other.scale == pytest.approx(100 * one.scale)


def test_silent_panel():
    X = np.arange(12, dtype=float).reshape(2, 2, 3)
    X[1, :, 1:] = np.nan
    panel = silent_panel(X, start=2, n_steps=3, value=[0.5, -1])
    assert panel.dtype == np.float32
    nan = np.nan
    expected = [[0, 1, 0.5, 0.5, 0.5], [3, 4, -1, -1, -1]]
    expected = [expected, [[6, 0.5, 0.5, 0.5, nan], [9, -1, -1, -1, nan]]]
    np.testing.assert_array_equal(panel, expected)
    np.testing.assert_array_equal(silent_panel(X[:1], 0, 2), np.zeros((1, 2, 2)))
    assert np.isnan(X[1, :, 1:]).all()


def one_node(weight, start, n_steps=400):
    """Return trajectories of h <- tanh(weight h) in a network that takes its state from input."""
    network = RecurrentNetwork(1, n_classes=2, hidden_size=1, cell="rnn")
    with torch.no_grad():
        network.recurrent.weight_ih_l0.fill_(1.0)
        network.recurrent.weight_hh_l0.fill_(weight)
        network.recurrent.bias_ih_l0.zero_()
        network.recurrent.bias_hh_l0.zero_()
    panel = silent_panel(np.arctanh(start)[:, None, None], start=1, n_steps=n_steps)
    return network.unroll(torch.from_numpy(panel)).hidden.numpy()


def fixed_point(weight):
    """Return the positive solution of h = tanh(weight h) by bisection."""
    low, high = 1e-3, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if np.tanh(weight * middle) > middle else (low, middle)
    return low


START = np.array([-0.9, -0.5, -0.1, 0.1, 0.2, 0.3, 0.5, 0.9, 0.95])


def test_end_points_of_a_network_with_two_fixed_points():
    result = end_points(one_node(1.5, START))
    np.testing.assert_allclose(
        result.points.ravel(), [fixed_point(1.5), -fixed_point(1.5)], atol=1e-5
    )
    assert result.n_instances.tolist() == [6, 3]
    np.testing.assert_array_equal(result.point_of, (START < 0).astype(int))
    assert result.speed.max() < 1e-6
    assert result.radius.max() < 1e-5
    assert (result.period == 1).all()


def test_end_points_of_a_network_that_forgets_and_of_one_that_oscillates():
    forgets = end_points(one_node(0.5, START))
    np.testing.assert_allclose(forgets.points, [[0]], atol=1e-6)
    oscillates = end_points(one_node(-1.5, START))
    # The state moves between the two points of the cycle at every time step.
    speed = oscillates.speed * oscillates.scale
    np.testing.assert_allclose(speed, 2 * fixed_point(1.5), rtol=1e-4)
    assert len(oscillates.points) == 2
    assert (oscillates.period == 2).all()


@pytest.mark.parametrize("period", [1, 2, 6, 8, 20, 21])
def test_period_of_a_rotation(period):
    """The period is found if it fits into half of the run, of 40 and of 12 time steps."""
    angle = 2 * np.pi * np.arange(40) / period
    hidden = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.array([[[1.0]], [[2.0]]])
    result = end_points(ragged(hidden + 7, [40, 12]))
    assert result.period.tolist() == [period * (period <= 20), period * (period <= 6)]


def test_end_points_of_a_line_is_one_chain():
    """Constant states close to each other form a chain; two others are far away."""
    places = np.append(np.linspace(0, 1, 60), [3.0, 3.01])
    hidden = np.repeat(places[:, None, None], 2, axis=1)
    result = end_points(hidden)
    assert result.n_instances.tolist() == [60, 2]
    np.testing.assert_allclose(result.points.ravel(), [0.5, 3.005])
    np.testing.assert_allclose(result.radius, np.array([0.5, 0.005]) / places.std(), rtol=1e-6)
    assert (result.speed == 0).all()
    assert len(end_points(hidden, tolerance=1e-4).points) == 62


def test_end_points_of_unequal_lengths_and_of_equal_states():
    hidden = ragged(np.repeat(np.eye(3)[[0, 1, 1, 1]][:, None], 6, axis=1), [2, 3, 6, 5])
    result = end_points(hidden)
    np.testing.assert_array_equal(result.points, np.eye(3)[[1, 0]])
    assert result.point_of.tolist() == [1, 0, 0, 0]
    still = end_points(np.ones((5, 3, 2)))
    assert still.n_instances.tolist() == [5]
    assert still.scale == 0


def test_a_trained_network_separates_the_classes_of_a_memory_task():
    """In the delay, the states of different bits are apart; those of shuffled labels are not."""
    task = make_memory_task(300, n_bits=2, delay=3, random_state=0)
    net = RNNClassifier(module__hidden_size=16, lr=0.02, max_epochs=6, random_state=0)
    net.fit(task.data, task.target)
    hidden = net.hidden_states(task.data)
    start, stop = task.delay
    result = attractor_summary(hidden, task.target, start=start, stop=stop)
    assert (result.separation > 0.7).all()
    assert result.n_instances.tolist() == [300] * 3
    shuffled = np.random.default_rng(0).permutation(task.target)
    assert (attractor_summary(hidden, shuffled, start=start, stop=stop).separation < 0.1).all()
    means = trajectory_pca(hidden, task.target).class_means[:, start:stop]
    apart = np.linalg.norm(means[:, None] - means, axis=-1)
    assert (apart[~np.eye(4, dtype=bool)] > 0.3).all()


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: trajectory_pca(np.ones((3, 4))), ValueError, r"hidden has shape \(3, 4\)"),
        (lambda: trajectory_pca(np.ones((3, 0, 4))), ValueError, r"hidden has shape \(3, 0, 4\)"),
        (lambda: trajectory_pca(some_states(), n_components=6), ValueError, "n_components=6"),
        (lambda: trajectory_pca(some_states(), [1, 2]), ValueError, "y has 2 instances"),
        (lambda: end_points([[[0, np.inf]]]), ValueError, "hidden contains infinity"),
        (lambda: end_points([[[0, np.nan]]]), ValueError, "NaN in some nodes only"),
        (lambda: end_points([[[0], [np.nan], [0]]]), ValueError, "NaN inside a series"),
        (lambda: end_points([[[np.nan], [0]]]), ValueError, "NaN inside a series"),
        (lambda: end_points([[[0], [0]], [[0], [np.nan]]]), ValueError, "time step in instance 1"),
        (lambda: end_points(some_states(), tolerance=0), ValueError, "tolerance=0; expected"),
        (lambda: attractor_summary(some_states(), [1] * 30), ValueError, "y has one class"),
        (lambda: attractor_summary(some_states(), range(30), start=8), ValueError, "start=8"),
        (lambda: attractor_summary(some_states(), range(30), stop=9), ValueError, "stop=9"),
        (lambda: silent_panel([[[1.0]]], 2, 1), ValueError, "start=2; expected .* from 0 to 1"),
        (lambda: silent_panel([[[1.0]]], 1, 0), ValueError, "n_steps=0; expected"),
        (lambda: silent_panel([[[1.0]]], 1, 1, value=[1, 2]), ValueError, r"value=\[1, 2\]; exp"),
        (lambda: silent_panel([[[1.0]]], 1, 1, value=np.nan), ValueError, "value=nan; expected"),
    ],
)
def test_bad_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call()
