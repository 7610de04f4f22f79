"""Small panels and trained networks that many tests share, and the rule for skipped tests."""

from collections import Counter

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch

from relayestimators import classifiers

matplotlib.use("Agg")
torch.set_num_threads(1)  # enough for small networks, and what loky workers have

CELLS = {name.lower(): classifier for name, classifier in classifiers.CELLS.items()}
EQUAL = ["numpy3D", "nested_univ", "pd-multiindex", "df-list"]  # panel formats of sktime
UNEQUAL = EQUAL[1:]

# Every reason for which a test may be skipped, and what it means. Any other reason fails the run.
SKIPS = {
    "no GPU": "this machine has no CUDA device",
}


def skip_reasons(config):
    """Count the tests that were skipped by reason; workers of pytest-xdist report nothing."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    return Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    if session.exitstatus == pytest.ExitCode.OK and skip_reasons(session.config).keys() - SKIPS:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    reasons = skip_reasons(terminalreporter.config)
    if reasons:
        terminalreporter.section("why tests were skipped")
    for reason, count in sorted(reasons.items()):
        meaning = SKIPS.get(reason, "NOT ALLOWED, see SKIPS in tests/conftest.py")
        terminalreporter.line(f"{count:5d}  {reason}: {meaning}", red=reason not in SKIPS)


def make_panel(n_instances=60, n_channels=2, n_timepoints=10, seed=0):
    """Return a panel and labels of three classes that differ in the mean of the first channel."""
    rng = np.random.default_rng(seed)
    y = np.array(["low", "mid", "high"])[np.arange(n_instances) % 3]
    X = rng.normal(size=(n_instances, n_channels, n_timepoints)).astype(np.float32)
    X[:, 0] += np.select([y == "low", y == "mid"], [-1.5, 0.0], 1.5)[:, None]
    return X, y


def cut_short(X, lengths):
    """Return the panel with instance i ending after lengths[i] time steps."""
    X = X.copy()
    for i, length in enumerate(lengths):
        X[i, :, length:] = np.nan
    return X


def as_frames(X):
    """Return a NaN-padded array in the format df-list."""
    return [
        pd.DataFrame(x[:, ~np.isnan(x).all(axis=0)].T, columns=[f"c{k}" for k in range(len(x))])
        for x in X
    ]


def small_net(cell=classifiers.GRUClassifier, **options):
    """Return a small network that trains quickly."""
    quick = {"module__hidden_size": 6, "lr": 0.05, "max_epochs": 4, "batch_size": 30}
    return cell(**(quick | {"random_state": 0} | options))


def assert_seeded(make_task):
    """Assert that a task depends on its seed only, and does not change numpy's generator."""
    before = np.random.get_state()  # noqa: NPY002
    first, again = (make_task(random_state=5) for _ in range(2))
    passed = make_task(random_state=np.random.RandomState(5))
    other = make_task(random_state=6)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    for same in (again, passed):
        np.testing.assert_array_equal(first.data, same.data)
        np.testing.assert_array_equal(first.target, same.target)
    assert (first.data != other.data).any()
    assert (first.target != other.target).any()


@pytest.fixture
def panel():
    return make_panel()


@pytest.fixture
def ragged_panel():
    X, y = make_panel()
    return cut_short(X, 4 + np.arange(len(X)) % 7), y


@pytest.fixture(scope="session", params=CELLS)
def cell(request):
    return request.param


@pytest.fixture(scope="session")
def fitted(cell):
    """A trained network of each cell, which no test may change."""
    X, y = make_panel()
    return CELLS[cell](module__hidden_size=6, max_epochs=15, random_state=0).fit(X, y)
