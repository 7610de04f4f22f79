"""The block task: what the sensors show, and from when on a concept can be known."""

from collections import Counter, defaultdict
from itertools import product

import numpy as np
import pytest
from conftest import assert_seeded
from sklearn.linear_model import LogisticRegression

from relayestimators import GRUClassifier, LSTMClassifier, RNNClassifier
from relayestimators.datasets import make_block_task

SMALL = {"n_sensors": 4, "duration": (2, 3), "max_onset": 1, "delay": 1}
SHAPES = [
    SMALL,
    {**SMALL, "target": "direction"},
    {**SMALL, "target": "size"},
    {**SMALL, "target": "direction", "sizes": (2,), "blind": 0},
    {**SMALL, "blind": 3, "max_onset": 2},  # a block of 2 may be hidden to the end
    {**SMALL, "blind": 3, "target": "size", "duration": (1, 3)},
    {
        "n_sensors": 7,
        "sizes": (3, 1, 2),
        "blind": 1,
        "duration": (2, 5),
        "max_onset": 2,
        "delay": 0,
    },
    {"n_sensors": 5, "blind": 2, "duration": (4, 4), "max_onset": 0},
]
DEFAULTS = {"sizes": (2, 4), "n_sensors": 10, "blind": 2, "duration": (3, 8), "max_onset": 3}
DEFAULTS |= {"delay": 4, "target": "both"}


def film(size, direction, position, onset, duration, n_sensors, blind, n_timepoints, **_):
    """Return what the sensors show at every time step; None if the block leaves the row."""
    half, cells = n_sensors // 2, range(n_sensors + blind)
    frames = [(0,) * n_sensors] * n_timepoints
    for step in range(duration):
        left = position + (step if direction else -step)
        block = set(range(left, left + size))
        if not block <= set(cells):
            return None
        row = [int(cell in block) for cell in cells]
        frames[onset + step] = tuple(row[:half] + row[half + blind :])
    return tuple(frames)


def all_worlds(shape):
    """Return all worlds in which the block stays within the row, with their films."""
    o = {**DEFAULTS, **shape}
    n_timepoints = o["max_onset"] + o["duration"][1] + o["delay"]
    worlds = product(
        o["sizes"],
        (0, 1),
        range(o["n_sensors"] + o["blind"]),
        range(o["max_onset"] + 1),
        range(o["duration"][0], o["duration"][1] + 1),
    )
    films = {w: film(*w, o["n_sensors"], o["blind"], n_timepoints) for w in worlds}
    return {world: seen for world, seen in films.items() if seen is not None}


def answer(world, shape):
    """Return the concept values of a world."""
    o = {**DEFAULTS, **shape}
    values = {"size": o["sizes"].index(world[0]), "direction": world[1]}
    return (*values.values(),) if o["target"] == "both" else (values[o["target"]],)


def determined_worlds(shape):
    """Return the worlds that do not look like a world with another answer."""
    films, answers = all_worlds(shape), defaultdict(set)
    for world, seen in films.items():
        answers[seen].add(answer(world, shape))
    return {world: seen for world, seen in films.items() if len(answers[seen]) == 1}


def worlds_of(task):
    start, stop = task.shown.T
    columns = task.size, task.direction, task.position, start, stop - start
    return [tuple(map(int, row)) for row in zip(*columns)]


@pytest.mark.parametrize("shape", SHAPES)
def test_input_and_labels_agree_with_the_block(shape):
    task = make_block_task(150, noise=0, random_state=0, **shape)
    films = all_worlds(shape)
    for world, series, label in zip(worlds_of(task), task.data, task.target):
        np.testing.assert_array_equal(series.T, films[world])
        assert tuple(task.concepts[label]) == answer(world, shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_known_from_by_all_possible_worlds(shape):
    """Compare with the worlds that look the same up to every time step."""
    task = make_block_task(60, noise=0.3, random_state=0, **shape)
    films = determined_worlds(shape)
    for world, known_from in zip(worlds_of(task), task.known_from):
        for concept, expected in enumerate(known_from):
            for t in range(task.delay[0]):
                seen = films[world][: t + 1]
                possible = {
                    answer(w, shape)[concept] for w, f in films.items() if f[: t + 1] == seen
                }
                assert (len(possible) == 1) == (t >= expected)
            assert expected < task.delay[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_all_determined_worlds_of_a_class_are_equally_likely(shape):
    n_instances = 20000
    task = make_block_task(n_instances, random_state=0, **shape)
    drawn, determined = Counter(worlds_of(task)), determined_worlds(shape)
    assert set(drawn) == set(determined)
    of_class = Counter(answer(world, shape) for world in determined)
    for world, count in drawn.items():
        expected = n_instances / len(task.concepts) / of_class[answer(world, shape)]
        assert abs(count - expected) < 5 * np.sqrt(expected)


def test_some_shapes_have_undetermined_worlds():
    """Without them, the tests above could not detect whether such worlds are left out."""
    left_out = [len(all_worlds(shape)) - len(determined_worlds(shape)) for shape in SHAPES]
    assert left_out[4] > 0
    assert left_out[5] > 0
    assert len(all_worlds({})) == len(determined_worlds({}))


def test_memory_is_needed_where_the_block_hides():
    """With blind cells, the size may be known only after the block has appeared."""
    seen = make_block_task(500, n_sensors=12, blind=0, random_state=0)
    blind = make_block_task(500, blind=2, random_state=0)
    assert (seen.known_from[:, 0] == seen.shown[:, 0]).all()
    assert (blind.known_from[:, 0] > blind.shown[:, 0]).mean() > 0.1


def test_direction_is_known_at_first_only_at_the_ends_of_the_row():
    task = make_block_task(2000, n_sensors=12, blind=0, random_state=0)
    last = task.position + task.size - 1
    at_end = (task.position < 2) | (last > 9)  # too close to an end to move towards it
    first = task.known_from[:, 1] == task.shown[:, 0]
    np.testing.assert_array_equal(first, at_end)


def test_time_averages_are_independent_of_the_direction():
    means = {0: Counter(), 1: Counter()}
    task = make_block_task(8000, noise=0, random_state=0)
    films = dict(zip(worlds_of(task), task.data))
    assert set(films) == set(determined_worlds({}))
    for world, series in films.items():
        means[world[1]][(world[0], *series.sum(axis=1))] += 1
    assert means[0] == means[1]
    size_2, size_4 = ({key[1:] for key in means[0] if key[0] == size} for size in (2, 4))
    assert size_2 & size_4  # some averages are the same for both sizes


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_types(shape):
    o = {**DEFAULTS, **shape}
    task = make_block_task(50, random_state=0, **shape)
    silence = o["max_onset"] + o["duration"][1]
    assert task.data.shape == (50, o["n_sensors"], silence + o["delay"])
    assert task.data.dtype == np.float32
    assert task.data.flags.c_contiguous
    assert task.delay == (silence, silence + o["delay"])
    assert task.concept_names == (["size", "direction"] if o["target"] == "both" else [o["target"]])
    n_values = [len(o["sizes"]) if name == "size" else 2 for name in task.concept_names]
    assert task.concepts.tolist() == [list(row) for row in product(*map(range, n_values))]
    assert task.known_from.shape == (50, len(n_values))
    assert task.shown.shape == (50, 2)
    assert task.channel_names == [f"sensor{i}" for i in range(o["n_sensors"])]
    half = o["n_sensors"] // 2
    cells = [*range(o["n_sensors"] + o["blind"])]
    assert task.sensors.tolist() == cells[:half] + cells[half + o["blind"] :]
    counts = np.bincount(task.target)
    assert len(counts) == len(task.concepts)
    assert np.ptp(counts) <= 1


@pytest.mark.parametrize("noise", [0.1, 0.7])
def test_noise_has_the_given_level_and_changes_nothing_else(noise):
    clean, noisy = (make_block_task(4000, noise=s, random_state=0) for s in (0, noise))
    for name in ("target", "known_from", "shown", "size", "direction", "position"):
        np.testing.assert_array_equal(clean[name], noisy[name])
    added = noisy.data - clean.data
    np.testing.assert_allclose(added.std(axis=0), noise, rtol=0.07)
    flat = added.reshape(4000, -1)
    assert np.abs(flat.mean(axis=0)).max() < 5 * noise / np.sqrt(4000)
    assert np.abs(np.corrcoef(flat.T) - np.eye(flat.shape[1])).max() < 5.5 / np.sqrt(4000)


@pytest.mark.parametrize("other", [{"noise": 1.0}, {"sizes": (1, 3)}, {"duration": (4, 5)}])
def test_labels_depend_on_the_seed_only(other):
    np.testing.assert_array_equal(
        make_block_task(random_state=0).target, make_block_task(random_state=0, **other).target
    )


def test_same_seed_same_data():
    assert_seeded(make_block_task)


def test_numpy_numbers_are_allowed():
    task = make_block_task(
        np.uint8(200),
        sizes=np.array([2, 120], dtype=np.int8),
        n_sensors=np.uint8(200),
        blind=np.uint8(100),
        duration=np.array([2, 3], dtype=np.uint8),
        max_onset=np.int8(2),
        delay=np.uint8(255),
        random_state=0,
    )
    assert task.data.shape == (200, 200, 260)
    assert task.delay == (5, 260)
    assert task.target.dtype == np.int64


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"n_instances": 10.0}, TypeError, "n_instances=10.0; expected an integer >= 1"),
        ({"n_instances": 3}, ValueError, "n_instances=3; expected at least 4"),
        ({"target": "shape"}, ValueError, "target='shape'; expected one of 'size'"),
        ({"sizes": 2}, TypeError, "sizes=2; expected a sequence of integers >= 1"),
        ({"sizes": (0, 4)}, ValueError, r"sizes\[0\]=0; expected an integer >= 1"),
        ({"sizes": (2,)}, ValueError, r"sizes=\(2,\); expected at least two"),
        ({"sizes": (2, 2)}, ValueError, r"sizes=\(2, 2\); expected .* different"),
        ({"sizes": (), "target": "direction"}, ValueError, r"sizes=\(\); expected at least one"),
        ({"n_sensors": 0}, ValueError, "n_sensors=0; expected an integer >= 1"),
        ({"n_sensors": 8}, ValueError, "n_sensors .* 10 cells; expected at least 11"),
        ({"sizes": (2, 10**12)}, ValueError, "12 cells; expected at least 10{11}7"),
        ({"blind": -1}, ValueError, "blind=-1; expected an integer >= 0"),
        ({"n_sensors": 2, "blind": 10}, ValueError, "class 0 .* expected a smaller blind"),
        ({"duration": 3}, TypeError, "duration=3; expected a sequence"),
        ({"duration": (1, 3)}, ValueError, r"duration\[0\]=1; expected an integer >= 2"),
        ({"duration": (3, 2)}, ValueError, r"duration=\(3, 2\); expected the smallest"),
        ({"duration": (3,)}, ValueError, r"duration=\(3,\); expected the smallest"),
        ({"max_onset": -1}, ValueError, "max_onset=-1; expected an integer >= 0"),
        ({"max_onset": 10**9}, ValueError, "1000000008 time steps; expected .* at most"),
        ({"delay": 1.5}, TypeError, "delay=1.5; expected an integer >= 0"),
        ({"noise": -0.1}, ValueError, "noise=-0.1; expected a finite number >= 0"),
        ({"random_state": "today"}, ValueError, "'today' cannot be used to seed"),
    ],
)
def test_bad_arguments(options, error, match):
    with pytest.raises(error, match=match):
        make_block_task(**options)


def accuracy_of_reader(read):
    train, new = make_block_task(3000, random_state=0), make_block_task(2000, random_state=1)
    reader = LogisticRegression(max_iter=1000).fit(read(train.data), train.target)
    return reader.score(read(new.data), new.target)


def test_no_single_time_step_and_no_average_determines_the_class():
    assert accuracy_of_reader(lambda X: X[:, :, -1]) < 0.3
    assert accuracy_of_reader(lambda X: X.mean(axis=2)) < 0.5
    best = max(accuracy_of_reader(lambda X, t=t: X[:, :, t]) for t in range(11))
    assert best < 0.6


def test_a_network_learns_an_easy_task():
    easy = {"n_sensors": 6, "blind": 0, "sizes": (1, 3), "duration": (4, 4), "max_onset": 0}
    train = make_block_task(400, delay=1, random_state=0, **easy)
    new = make_block_task(1000, delay=1, random_state=1, **easy)
    net = GRUClassifier(module__hidden_size=16, lr=0.03, max_epochs=6, random_state=0)
    net.fit(train.data, train.target)
    assert net.score(new.data, new.target) > 0.95
    # The network uses what the sensors show while the block is present.
    silenced = new.data.copy()
    silenced[:, :, : new.delay[0]] = 0
    assert net.score(silenced, new.target) < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "net", [GRUClassifier(), LSTMClassifier(), RNNClassifier(lr=0.003)], ids=["gru", "lstm", "rnn"]
)
def test_networks_learn_the_defaults(net, seed):
    """Networks learn the default task; a plain RNN needs a lower learning rate for it."""
    train, new = make_block_task(random_state=seed), make_block_task(2000, random_state=100)
    net.set_params(random_state=seed).fit(train.data, train.target)
    assert net.score(new.data, new.target) > 0.95
