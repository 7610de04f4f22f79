"""What two workers bring and what they cost, by backend of joblib: time, memory, bytes sent."""

import hashlib
import io
import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import cloudpickle
import joblib
import numpy as np
from joblib import Parallel, delayed
from joblib.parallel import ThreadingBackend, register_parallel_backend
from sklearn.utils import Bunch
from tqdm import tqdm

from relayestimators import GRUClassifier, relay_map
from relayestimators.inspection import knockout_importance

from .tables import markdown

KINDS = ("threads", "loky", "dask")
MIB = 1024**2


# ---------------------------------------------------------------- bytes, by the rules of joblib


class _Light(cloudpickle.Pickler):
    """Pickles, but for what the backend shares: its name is enough for that."""

    def __init__(self, file, shared):
        super().__init__(file)
        self.shared = shared

    def persistent_id(self, obj):
        return self.shared(obj)


class _Scales(ThreadingBackend):
    """Threads that weigh every task, as loky and as dask would send it."""

    weighed = None

    def submit(self, func, callback=None):
        self.weighed["loky"].append(self._weight(func.items, self._mapped))
        self.weighed["dask"].append(self._weight(func.items, self._scattered(func.items)))
        return super().submit(func, callback)

    def _weight(self, items, shared):
        file = io.BytesIO()
        _Light(file, shared).dump(items)
        return file.tell()

    def _mapped(self, obj):
        """loky: arrays beyond 1 MB, wherever they are, are memory maps."""
        if isinstance(obj, np.ndarray) and obj.nbytes > 1e6:
            return self._once("loky_shared", obj, obj.nbytes)
        return None

    def _scattered(self, items):
        """dask: arguments it takes for more than 1 kB go to the workers on their own."""
        from dask.sizeof import sizeof
        from joblib._dask import is_weakrefable

        arguments = {}
        for _, args, options in items:
            for arg in (*args, *options.values()):
                if is_weakrefable(arg) and sizeof(arg) > 1e3:
                    arguments[id(arg)] = arg

        def shared(obj):
            if id(obj) not in arguments:
                return None
            return self._once("dask_shared", obj, None)

        return shared

    def _once(self, rule, obj, size):
        if id(obj) not in self.weighed[rule]:
            size = len(cloudpickle.dumps(obj)) if size is None else size
            self.weighed[rule][id(obj)] = obj, size
        return f"{id(obj)}"


def weigh(call):
    """Run a call with two threads and weigh what processes would be sent.

    Parameters
    ----------
    call : callable

    Returns
    -------
    Bunch
        loky, dask : list of bytes of every task; loky_shared, dask_shared : list of bytes of what
        they share.
    """
    _Scales.weighed = {"loky": [], "dask": [], "loky_shared": {}, "dask_shared": {}}
    register_parallel_backend("scales", _Scales)
    with joblib.parallel_config("scales", n_jobs=2):
        call()
    weighed, _Scales.weighed = _Scales.weighed, None
    for rule in ("loky_shared", "dask_shared"):
        weighed[rule] = [size for _, size in weighed[rule].values()]
    return Bunch(**weighed)


# ---------------------------------------------------------------- the work


def map_problem(quick):
    """Four concepts, 5000 instances, 200 time steps, 64 nodes."""
    n, n_timepoints, n_nodes = (500, 10, 16) if quick else (5000, 200, 64)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, n)
    said = np.where(rng.random(n) < 0.2, rng.integers(0, 4, n), labels)
    states = rng.integers(0, 2, (n, n_timepoints, n_nodes), dtype=np.uint8)
    concepts = np.eye(4, dtype=int)
    return concepts[labels], concepts[said], states


def knockout_problem(quick):
    """A net of 64 nodes; each is held for the last few time steps."""
    n, n_timepoints, n_nodes = (500, 10, 16) if quick else (5000, 200, 64)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 1, n_timepoints)).astype(np.float32)
    y = (X[:, 0, -1] > 0).astype(int)
    net = GRUClassifier(module__hidden_size=n_nodes, max_epochs=1, random_state=0)
    return net.fit(X[:100], y[:100]), X, y, n_timepoints - n_timepoints // 40 - 1


def _map(quick):
    a, b, states = map_problem(quick)
    return partial(relay_map, a, b, states, random_state=0)


def _knockouts(quick):
    net, X, y, start = knockout_problem(quick)
    return partial(knockout_importance, net, X, y, start=start, n_repeats=2, random_state=0)


def _hash(states, times):
    """Work that needs neither the interpreter nor memory of its own."""
    for _ in range(times):
        hashlib.sha256(states[:64]).digest()


def _nothing_but_work(quick, seconds):
    """Return a call that hashes for so long, in as many messages as a relay map has."""
    states, times = map_problem(quick)[2], 1
    while (taken := _seconds(partial(_hash, states, times))) < 0.01:
        times *= 2
    times = max(1, round(times * seconds / taken / 32))
    tasks = [delayed(_hash)(states, times)] * 32
    return lambda: Parallel(prefer="threads", pre_dispatch="all")(tasks)


# ---------------------------------------------------------------- time and memory


@contextmanager
def workers(kind):
    """Within: two workers of a kind; without one, this process alone."""
    with ExitStack() as stack:
        if kind == "dask":
            from distributed import Client, LocalCluster

            options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
            cluster = stack.enter_context(LocalCluster(**options))
            stack.enter_context(Client(cluster))
            stack.enter_context(joblib.parallel_config("dask"))
        elif kind == "serial":
            stack.enter_context(joblib.parallel_config("sequential"))
        else:
            name = {"threads": "threading"}.get(kind, kind)
            stack.enter_context(joblib.parallel_config(name, n_jobs=2))
        yield


def _memory():
    """Return bytes of this process and those it started, pages they share counted once."""
    import psutil

    main, together = psutil.Process(), 0
    for process in (main, *main.children(recursive=True)):
        with suppress(psutil.Error):  # it has ended
            together += process.memory_full_info().pss
    return together


def peak_memory(call):
    """Run a call; return the most bytes there were above what there was before."""
    before, done = _memory(), threading.Event()
    seen = [before]

    def watch():
        while not done.wait(0.05):
            seen.append(_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
    finally:
        done.set()
        watcher.join()
    return max(seen) - before


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _pairs(call, n):
    """Return seconds without workers and with them, in turn."""
    pairs = []
    for _ in range(n):
        with joblib.parallel_config("sequential"):
            alone = _seconds(call)
        pairs.append((alone, _seconds(call)))
    return pairs


def measure(kind, quick):
    """Print times of both ways, in pairs, and memory; in a process of its own, to be read there."""
    call, n = _map(quick), 1 if quick else 5
    with workers(kind):
        call()  # workers start, and import and load what they need
        pairs, memory = _pairs(call, n), peak_memory(call)
        work = _nothing_but_work(quick, pairs[-1][0])
        work()
        print(json.dumps({"pairs": pairs, "memory": memory, "at most": _pairs(work, n)}))


def _in_new_process(kind, quick):
    command = [sys.executable, "-m", "benchmarks.parallel", kind, "quick" if quick else "full"]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


def _faster(pairs):
    ratios = [alone / beside for alone, beside in pairs]
    return f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def run(quick):
    """Return the tables as text."""
    times, sent = [], []
    for kind in tqdm(KINDS, desc="backends"):
        found = _in_new_process(kind, quick)
        faster = [_faster(found[name]) for name in ("pairs", "at most")]
        times.append([kind, *faster, f"{found['memory'] / MIB:.0f}"])
    for name, call in (("relay map", _map(quick)), ("knockouts", _knockouts(quick))):
        weighed = weigh(call)
        for kind in ("loky", "dask"):
            messages, shared = weighed[kind], weighed[f"{kind}_shared"]
            each, once = np.mean(messages) / 1024, sum(shared) / MIB
            sent.append([name, kind, len(messages), f"{each:.0f}", f"{once:.1f}"])
    faster = ["backend", "times faster", "nothing but work", "memory (MiB)"]
    header = ["work", "backend", "messages", "KiB each", "shared (MiB)"]
    return TEXT.format(times=markdown(faster, times), sent=markdown(header, sent))


TEXT = """## Workers

A relay map of four concepts, n=5000, 200 time steps, 64 nodes (61 MiB of states), with two workers
of one thread each that have been started before. Median and range of how many times faster it is
than without workers, in five pairs of runs; the same of as many messages that hash for as long,
with the states as argument: what the machine and the backend allow, since dask's scheduler and its
workers' own threads work on the same two cores; and peak memory above that before the call, all
processes together, pages that they share counted once:

{times}

What is pickled, for that map and for knockouts of each node of a GRU on as large a panel. loky puts
arrays beyond 1 MB into memory maps that workers share; dask sends an argument beyond 1 kB once, and
workers hand it on among themselves. A message holds up to 32 steps of a relay map, or 32 knockouts:

{sent}
"""


if __name__ == "__main__":
    measure(sys.argv[1], sys.argv[2] == "quick")
