"""Backends of joblib give the same results bit for bit, share large data, and use one thread."""

import importlib
import inspect
from contextlib import contextmanager
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from benchmarks.parallel import weigh
from conftest import make_panel
from distributed import Client, LocalCluster
from sklearn.frozen import FrozenEstimator
from test_house import PUBLIC, dotted

from relayestimators import (
    GRUClassifier,
    RelayAnalyzer,
    RelayHistory,
    RNNClassifier,
    relay_map,
    relay_study,
)
from relayestimators.inspection import (
    compare_rankings,
    cross_validate_knockout,
    interchange_information,
    knockout_curve,
    knockout_importance,
    knockout_specificity,
    knockout_sweep,
    rank_nodes,
)

TIMES = ("fit_time", "score_time")
small = partial(GRUClassifier, module__hidden_size=6, max_epochs=3, random_state=0)


def states_problem(n=200, n_timepoints=4, n_nodes=6):
    """Return the values of two concepts, and states of unequal length."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, (n, 2))
    b = np.where(rng.random((n, 2)) < 0.2, rng.integers(0, 3, (n, 2)), a)
    states = rng.integers(0, 2, (n, n_timepoints, n_nodes)).astype(np.uint8)
    states[:, 1, 2] = a[:, 0] > 0
    states[150:, -1] = 255
    return a, b, states


def whole_map(net, X, y):
    return relay_map(*states_problem(), n_permutations=3, n_resamples=3, random_state=0)


def analysis(net, X, y):
    options = {"n_permutations": 3, "n_resamples": 3, "random_state": 0}
    return RelayAnalyzer(FrozenEstimator(net), **options).fit(X, y)


def history(net, X, y):
    relays = RelayHistory(X, y, every=2)
    small(callbacks=[("relays", relays)]).fit(X, y)
    return [relays.maps_, relays.coverage_, relays.information_]


def cross_validated(net, X, y):
    analyzer = RelayAnalyzer(small(), n_relays=2, timepoints=[5, 9], random_state=0)
    options = {"n_random": 2, "random_state": 0, "return_estimator": True}
    return cross_validate_knockout(analyzer, X, y, cv=2, **options)


def compared(net, X, y):
    rankings = ["throughput", "knockout", "random"]
    return compare_rankings(
        net, X, y, rankings=rankings, test_size=None, timepoints=[4, 8], random_state=0
    )


def studied(net, X, y):
    nets = {"RNN": RNNClassifier(module__hidden_size=6, max_epochs=3, random_state=0)}
    return relay_study(nets, X[:30], y[:30], X, y, n_random=2, random_state=0)


#: A call of every public function or class with n_jobs.
CALLS = {
    "relay_map": whole_map,
    "RelayAnalyzer": analysis,
    "RelayHistory": history,
    "rank_nodes": partial(rank_nodes, random_state=0),
    "knockout_importance": partial(
        knockout_importance, value="resample", pairs=True, n_repeats=3, random_state=0
    ),
    "knockout_curve": partial(
        knockout_curve, order=range(6), value="noise", n_random=4, n_draws=2, random_state=0
    ),
    "knockout_specificity": partial(
        knockout_specificity, relays=[[0], [1, 2], [3]], n_random=9, n_resamples=4, random_state=0
    ),
    "knockout_sweep": partial(knockout_sweep, scoring="neg_log_loss", random_state=0),
    "interchange_information": partial(
        interchange_information, groups=[[0], [1, 2]], timepoints=[2, 5, 9], random_state=0
    ),
    "compare_rankings": compared,
    "cross_validate_knockout": cross_validated,
    "relay_study": studied,
}


def parameters(thing):
    error = isinstance(thing, type) and issubclass(thing, Exception)
    return inspect.signature(thing).parameters if callable(thing) and not error else ()


def test_nothing_with_workers_is_left_out():
    takers = set()
    for path in PUBLIC:
        public = vars(importlib.import_module(dotted(path)))
        takers |= {name for name in public["__all__"] if "n_jobs" in parameters(public[name])}
    assert takers == set(CALLS)


def numbers(result, path=""):
    """Yield (path, array) for everything in a result."""
    if isinstance(result, dict):
        parts = {key: part for key, part in result.items() if key not in TIMES}
    elif isinstance(result, (list, tuple)):
        parts = dict(enumerate(result))
    elif isinstance(result, RelayAnalyzer):
        parts = {key: part for key, part in vars(result).items() if key.endswith("_")}
    elif hasattr(result, "module_"):
        parts = {key: part.numpy() for key, part in result.module_.state_dict().items()}
    elif hasattr(
        result, "get_params"
    ):  # a discretizer or frozen network; its results are compared instead
        return
    else:
        yield path, np.asarray(result)
        return
    for key, part in parts.items():
        yield from numbers(part, f"{path}.{key}")


def assert_same_bits(one, two):
    one, two = dict(numbers(one)), dict(numbers(two))
    assert one.keys() == two.keys()
    for path, array in one.items():
        assert array.dtype == two[path].dtype, path
        np.testing.assert_array_equal(array, two[path], err_msg=path)
        if array.dtype != object:
            assert array.tobytes() == two[path].tobytes(), path


@pytest.fixture(scope="module")
def net():
    return small(max_epochs=15).fit(*make_panel())


@pytest.fixture(scope="module")
def serial(net):
    with joblib.parallel_config("sequential"):
        return {name: call(net, *make_panel()) for name, call in CALLS.items()}


@contextmanager
def dask_workers(processes):
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(processes=processes, **options) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def client():
    """Two dask workers that are threads of this process."""
    with dask_workers(processes=False) as client:
        yield client


BACKENDS = {
    "threading": {"backend": "threading", "n_jobs": 2},
    "loky": {"backend": "loky", "n_jobs": 2, "max_nbytes": 1000},  # memory maps, as for large data
    "dask": {"backend": "dask"},
}


@pytest.fixture(params=BACKENDS)
def workers(request):
    """Options for two workers; those of dask are started once per module."""
    if request.param == "dask":
        request.getfixturevalue("client")
    return BACKENDS[request.param]


@pytest.mark.parametrize("name", CALLS)
def test_same_bits_whatever_the_workers(name, net, serial, workers):
    with joblib.parallel_config(**workers):
        result = CALLS[name](net, *make_panel())
    assert_same_bits(serial[name], result)


@pytest.mark.slow
def test_same_bits_in_processes_of_dask(net, serial):
    with dask_workers(processes=True), joblib.parallel_config("dask"):
        for name, call in CALLS.items():
            assert_same_bits(serial[name], call(net, *make_panel()))


class Watched(GRUClassifier):
    """A network that fails in a worker with more than one thread."""

    def knock_out(self, X, clamps):
        if torch.get_num_threads() != 1:
            raise RuntimeError(f"a worker has {torch.get_num_threads()} threads")
        return super().knock_out(X, clamps)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def watched():
    return Watched(module__hidden_size=6, max_epochs=1, random_state=0).fit(*make_panel())


def assert_one_thread_each(net, workers):
    for _ in range(2):  # the first call may change the workers
        with joblib.parallel_config(**workers):
            knockout_sweep(net, *make_panel())
        assert torch.get_num_threads() == 2
    there = joblib.delayed(torch.get_num_threads)
    assert joblib.Parallel(2, backend="threading")(there() for _ in range(4)) == [2] * 4


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("name", ["threading", "loky"])
def test_workers_have_one_thread_each_and_torch_keeps_its_own(watched, name):
    assert_one_thread_each(watched, BACKENDS[name])


@pytest.mark.usefixtures("two_threads")
def test_threads_of_dask_that_have_used_torch_before(watched):
    with dask_workers(processes=False) as client:
        before = [client.submit(torch.get_num_threads, pure=False) for _ in range(8)]
        assert client.gather(before) == [2] * 8
        assert_one_thread_each(watched, BACKENDS["dask"])
        assert client.submit(torch.get_num_threads, pure=False).result() == 2


@pytest.mark.usefixtures("two_threads")
def test_without_workers_a_knockout_uses_all_threads(watched):
    with pytest.raises(RuntimeError, match="a worker has 2 threads"):
        knockout_sweep(watched, *make_panel())


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    "name", [name for name in BACKENDS if name != "loky"]
)  # which starts new processes
def test_torch_keeps_its_threads_after_an_error(name, client):
    X, y = make_panel()
    broken = Broken(module__hidden_size=6, max_epochs=1, random_state=0).fit(X, y)
    with (
        joblib.parallel_config(**BACKENDS[name]),
        pytest.raises(ValueError, match="failed on purpose"),
    ):
        knockout_importance(broken, X, y, pairs=True)
    assert torch.get_num_threads() == 2


class Broken(GRUClassifier):
    """A network that fails in a worker."""

    def knock_out(self, X, clamps):
        raise ValueError("failed on purpose")


def test_threads_restore_the_mode_of_the_network():
    X, y = make_panel(n_instances=200)
    net = small().fit(X, y)
    for training in (True, False):
        net.module_.train(training)
        for _ in range(3):
            knockout_importance(net, X, y, value="noise", pairs=True, n_jobs=3)
            assert {part.training for part in net.module_.modules()} == {training}


class Mapped(GRUClassifier):
    """A network that fails in a worker with a copy of the data."""

    def knock_out(self, X, clamps):
        if not isinstance(X, np.memmap):
            raise RuntimeError(f"X is a {type(X).__name__}")
        return super().knock_out(X, clamps)


def test_workers_of_loky_have_no_copy_of_large_data():
    X, y = make_panel()
    net = Mapped(module__hidden_size=6, max_epochs=1, random_state=0).fit(X, y)
    with joblib.parallel_config(**BACKENDS["loky"]):
        knockout_importance(net, X, y)
    with pytest.raises(RuntimeError, match="X is a ndarray"):
        knockout_importance(net, X, y)


def large_map(n_timepoints):
    a, b, _ = states_problem(n=2000)
    states = np.random.default_rng(0).integers(0, 2, (2000, n_timepoints, 40), dtype=np.uint8)
    relay_map(a, b, states, n_contexts=1, n_permutations=3)


def test_states_are_sent_once_whatever_the_tasks():
    """Four codes of 2000 bytes are sent with a task, the states (1.6 and 3.2 MB) are not."""
    for n_timepoints in (20, 40):
        weighed = weigh(partial(large_map, n_timepoints))
        assert len(weighed.loky) >= 32
        assert max(weighed.loky) < 62_000  # three permutations are 48 kB, the codes 8 kB
        assert max(weighed.dask) < 10_000
        assert weighed.loky_shared == [2000 * n_timepoints * 40]
        assert sum(weighed.dask_shared) < 2000 * n_timepoints * 40 + 50_000


@pytest.mark.parametrize("value", ["mean", "resample"])
def test_panels_and_trajectories_are_sent_once(net, value):
    X, y = make_panel(n_instances=9000)  # 0.7 MB, and 2.2 MB of trajectories
    X = X.astype(np.float64)
    options = {"value": value, "n_repeats": 2, "start": 9, "random_state": 0}
    weighed = weigh(lambda: knockout_importance(net, X, y, pairs=True, **options))
    shared = X.nbytes + (value == "resample") * 9000 * 10 * 6 * 4
    assert sum(weighed.loky_shared) == shared
    assert max(weighed.dask) < 10_000
    assert shared < sum(weighed.dask_shared) < shared + 2e6


def test_progress_is_seen_with_all_workers(net, workers, capsys):
    X, y = make_panel()
    shown = {
        "relay map": lambda: relay_map(*states_problem(), verbose=1),
        "knockouts": lambda: knockout_sweep(net, X, y, verbose=1),
        "exchanges": lambda: interchange_information(net, X, y, verbose=1),
        "folds": lambda: cross_validate_knockout(small(), X, y, cv=2, n_random=1, verbose=1),
    }
    for title, call in shown.items():
        with joblib.parallel_config(**workers):
            call()
        assert f"{title}: 100%" in capsys.readouterr().err
