"""The memory task: labels, timing and noise, and no symbol can be known too early."""

from functools import partial
from itertools import pairwise, product

import numpy as np
import pytest
from conftest import assert_seeded
from scipy.stats import norm

from relayestimators import GRUClassifier
from relayestimators.datasets import make_memory_task

SHAPES = [
    {},
    {"n_bits": 1},
    {"n_bits": 4, "delay": 0},
    {"gap": 2},
    {"presentation": 3, "gap": 1, "delay": 5},
    {"n_symbols": 3, "n_bits": 2, "presentation": 2},
    {"n_symbols": 5, "n_bits": 2, "gap": 1},
]


def decode(task, n_symbols):
    """Return the symbols read from the input with the information of the docstring only."""
    n_value = 1 if n_symbols == 2 else n_symbols
    seen = [task.data[:, :n_value, start:stop].mean(axis=2) for start, stop in task.presented]
    if n_symbols == 2:
        return np.stack([value[:, 0] > 0 for value in seen], axis=1).astype(int)
    return np.stack([value.argmax(axis=1) for value in seen], axis=1)


def joint(symbols, n_symbols):
    """Return the numbers whose digits are the symbols, most significant digit first."""
    return np.array([int("".join(map(str, row)), n_symbols) for row in symbols])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("noise", [0, 0.1])
def test_label_is_the_joint_symbol(shape, noise):
    n_symbols = shape.get("n_symbols", 2)
    task = make_memory_task(200, noise=noise, random_state=0, **shape)
    symbols = decode(task, n_symbols)
    np.testing.assert_array_equal(joint(symbols, n_symbols), task.target)
    np.testing.assert_array_equal(task.concepts[task.target], symbols)


@pytest.mark.parametrize(("n_bits", "n_symbols"), [(1, 2), (3, 2), (2, 5), (5, 3)])
def test_concept_table_holds_every_combination_in_order(n_bits, n_symbols):
    task = make_memory_task(n_symbols**n_bits, n_bits=n_bits, n_symbols=n_symbols)
    assert task.concepts.tolist() == [*map(list, product(range(n_symbols), repeat=n_bits))]
    assert sorted(task.target) == [*range(n_symbols**n_bits)]


@pytest.mark.parametrize("n_instances", [8, 13, 1000, 1007])
def test_classes_are_balanced_and_shuffled(n_instances):
    target = make_memory_task(n_instances, random_state=0).target
    counts = np.bincount(target)
    assert len(counts) == 8
    assert counts.sum() == n_instances
    assert np.ptp(counts) <= 1
    assert (np.diff(target) < 0).sum() > 0.2 * n_instances  # neither sorted nor periodic
    assert (target != np.arange(n_instances) % 8).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_types(shape):
    n_symbols, n_bits = shape.get("n_symbols", 2), shape.get("n_bits", 3)
    n_value = 1 if n_symbols == 2 else n_symbols
    task = make_memory_task(50, n_distractors=2, random_state=0, **shape)
    assert task.data.shape == (50, 3 * n_value + 1, task.recall + 1)
    assert task.data.dtype == np.float32
    assert task.data.flags.c_contiguous
    assert task.target.shape == (50,)
    assert task.target.dtype.kind == task.concepts.dtype.kind == task.presented.dtype.kind == "i"
    assert task.concepts.shape == (n_symbols**n_bits, n_bits)
    assert task.presented.shape == (n_bits, 2)
    assert len(task.channel_names) == len(set(task.channel_names)) == task.data.shape[1]
    assert task.channel_names[n_value] == "cue"


def test_channel_names():
    assert make_memory_task(n_distractors=2).channel_names == [
        "value",
        "cue",
        "distractor0",
        "distractor1",
    ]
    names = make_memory_task(n_symbols=3, n_distractors=1).channel_names
    assert names == [f"value_{k}" for k in range(3)] + ["cue"] + [
        f"distractor0_{k}" for k in range(3)
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_timing(shape):
    expected = {"n_bits": 3, "presentation": 1, "gap": 0, "delay": 8, **shape}
    task = make_memory_task(50, noise=0, **shape)
    start, stop = task.presented.T
    assert start[0] == 0
    assert (stop - start == expected["presentation"]).all()
    assert all(b - a == expected["gap"] for a, b in zip(stop, start[1:]))
    assert task.delay == (stop[-1], stop[-1] + expected["delay"])
    assert task.recall == task.delay[1] == task.data.shape[2] - 1
    cue = task.data[:, task.channel_names.index("cue")]
    assert (cue == (np.arange(task.data.shape[2]) == task.recall)).all()
    spoken = np.concatenate([np.arange(*window) for window in task.presented])
    value = task.data[:, : task.channel_names.index("cue")]
    assert (np.abs(value[:, :, spoken]).sum(axis=1) == 1).all()
    assert (np.delete(value, spoken, axis=2) == 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_input_depends_on_a_symbol_only_while_it_is_shown(shape):
    """Instances with the same other symbols differ exactly where the symbol is shown."""
    task = make_memory_task(200, noise=0, random_state=0, **shape)
    symbols = task.concepts[task.target]
    for i, (start, stop) in enumerate(task.presented):
        others = np.delete(symbols, i, axis=1)
        for rest in np.unique(others, axis=0):
            group = (others == rest).all(axis=1)
            series = {k: task.data[group & (symbols[:, i] == k)] for k in set(symbols[group, i])}
            assert len(series) > 1
            for same in series.values():
                assert (same == same[0]).all()
            for a, b in pairwise(series.values()):
                differs = (a[0] != b[0]).any(axis=0)
                assert differs[start:stop].all()
                assert differs.sum() == stop - start


@pytest.mark.parametrize("options", [{}, {"n_distractors": 2}, {"gap": 2, "presentation": 2}])
def test_noise_and_distractors_are_independent_of_the_symbols(options):
    task = make_memory_task(20000, noise=0.5, random_state=0, **options)
    symbols = 2.0 * task.concepts[task.target] - 1
    for i, (start, stop) in enumerate(task.presented):
        z = np.einsum("n,nct->ct", symbols[:, i], task.data) / np.sqrt(
            (task.data**2).sum(axis=0, dtype=float).clip(1e-9)
        )
        assert (z[0, start:stop] > 50).all()
        z[0, start:stop] = 0
        assert np.abs(z).max() < 5


@pytest.mark.parametrize("noise", [0.1, 0.7])
@pytest.mark.parametrize("n_symbols", [2, 3])
def test_noise_has_the_given_level_except_on_the_cue(noise, n_symbols):
    options = {"n_symbols": n_symbols, "n_bits": 2, "n_distractors": 1, "random_state": 0}
    clean = make_memory_task(5000, noise=0, **options)
    noisy = make_memory_task(5000, noise=noise, **options)
    np.testing.assert_array_equal(clean.target, noisy.target)
    cue = clean.channel_names.index("cue")
    added = np.delete(noisy.data - clean.data, cue, axis=1)
    np.testing.assert_allclose(added.std(axis=0), noise, rtol=0.05)
    assert np.abs(added.mean(axis=0)).max() < 5 * noise / np.sqrt(5000)
    flat = added.reshape(5000, -1)
    correlation = np.corrcoef(flat.T) - np.eye(flat.shape[1])
    assert np.abs(correlation).max() < 5 / np.sqrt(5000)
    assert (noisy.data[:, cue] == clean.data[:, cue]).all()


def test_noise_sets_the_best_possible_accuracy():
    for presentation in (1, 4):
        task = make_memory_task(20000, noise=0.8, presentation=presentation, random_state=0)
        right = (decode(task, 2) == task.concepts[task.target]).mean()
        assert right == pytest.approx(norm.cdf(np.sqrt(presentation) / 0.8), abs=0.005)


@pytest.mark.parametrize("n_symbols", [2, 4])
def test_distractors_are_new_random_symbols_at_every_time_step(n_symbols):
    task = make_memory_task(
        8000, n_bits=2, n_symbols=n_symbols, n_distractors=2, noise=0, random_state=0
    )
    cue, n_value = task.channel_names.index("cue"), 1 if n_symbols == 2 else n_symbols
    channels = task.data[:, cue + 1 :].reshape(8000, 2, n_value, -1)
    if n_symbols == 2:
        assert set(np.unique(channels)) == {-1, 1}
        shown = (channels[:, :, 0] > 0).astype(int)
    else:
        assert set(np.unique(channels)) == {0, 1}
        assert (channels.sum(axis=2) == 1).all()
        shown = channels.argmax(axis=2)
    sources = [*shown.reshape(8000, -1).T, *task.concepts[task.target].T]
    indicators = np.stack([source == 0 for source in sources]).astype(float)
    np.testing.assert_allclose(indicators.mean(axis=1), 1 / n_symbols, atol=0.03)
    # All are independent of each other and of the symbols.
    correlation = np.corrcoef(indicators) - np.eye(len(indicators))
    assert np.abs(correlation).max() < 5 / np.sqrt(8000)


def test_distractors_only_add_channels():
    plain, one, two = (make_memory_task(n_distractors=n, random_state=3) for n in range(3))
    np.testing.assert_array_equal(plain.target, two.target)
    np.testing.assert_array_equal(plain.data, two.data[:, :2])
    np.testing.assert_array_equal(one.data, two.data[:, :3])


@pytest.mark.parametrize("other", [{"noise": 1.0}, {"delay": 3}, {"gap": 1}, {"presentation": 5}])
def test_labels_depend_on_the_seed_only(other):
    np.testing.assert_array_equal(
        make_memory_task(random_state=0).target, make_memory_task(random_state=0, **other).target
    )


def test_same_seed_same_data():
    assert_seeded(partial(make_memory_task, n_distractors=1, n_symbols=3))


def test_numpy_numbers_are_allowed():
    task = make_memory_task(
        np.uint8(100),
        n_bits=np.uint8(3),
        n_symbols=np.int8(2),
        delay=np.uint8(200),
        gap=np.int8(100),
        presentation=np.int8(100),
        noise=np.float32(0.1),
        n_distractors=np.int64(1),
    )
    assert task.presented.tolist() == [[0, 100], [200, 300], [400, 500]]
    assert task.delay == (500, 700)
    assert task.data.shape == (100, 3, 701)
    assert task.target.dtype == np.int64


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"n_instances": 10.0}, TypeError, r"n_instances=10.0; expected an integer"),
        ({"n_instances": 0}, ValueError, "n_instances=0; expected an integer >= 1"),
        ({"n_instances": 7}, ValueError, r"n_instances=7; expected at least .* = 2 \*\* 3"),
        ({"n_bits": 10**15}, ValueError, r"n_instances=1000; expected at least .* \*\* 10{15}"),
        ({"n_symbols": 10**9}, ValueError, r"n_instances=1000; expected .* 1000000000 \*\* 3"),
        ({"n_bits": 0}, ValueError, "n_bits=0; expected an integer >= 1"),
        ({"n_symbols": 1}, ValueError, "n_symbols=1; expected an integer >= 2"),
        ({"delay": -1}, ValueError, "delay=-1; expected an integer >= 0"),
        ({"gap": -1}, ValueError, "gap=-1; expected an integer >= 0"),
        ({"presentation": 0}, ValueError, "presentation=0; expected an integer >= 1"),
        ({"n_distractors": -2}, ValueError, "n_distractors=-2; expected an integer >= 0"),
        ({"noise": -0.1}, ValueError, "noise=-0.1; expected a finite number >= 0"),
        ({"random_state": "today"}, ValueError, "'today' cannot be used to seed"),
    ],
)
def test_bad_arguments(options, error, match):
    with pytest.raises(error, match=match):
        make_memory_task(**options)


def test_options_are_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        make_memory_task(100, 3)


def test_a_network_learns_it():
    train = make_memory_task(400, delay=2, random_state=0)
    new = make_memory_task(1000, delay=2, random_state=1)
    net = GRUClassifier(module__hidden_size=16, lr=0.03, max_epochs=6, random_state=0)
    net.fit(train.data, train.target)
    assert net.score(new.data, new.target) > 0.95
    # The network uses the symbols and nothing else in the series.
    silenced = new.data.copy()
    silenced[:, 0, slice(*new.presented[1])] = 0
    assert net.score(silenced, new.target) < 0.7
