"""Gain and cost of two workers by backend of joblib: time, memory, and bytes sent."""

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


class _SharingPickler(cloudpickle.Pickler):
    """A pickler that replaces objects shared by the backend by their names."""

    def __init__(self, file, shared):
        super().__init__(file)
        self.shared = shared

    def persistent_id(self, obj):
        return self.shared(obj)


class _WeighingBackend(ThreadingBackend):
    """Threads that record the size of every task, as loky and dask would send it."""

    weighed = None

    def submit(self, func, callback=None):
        self.weighed["loky"].append(self._weight(func.items, self._mapped))
        self.weighed["dask"].append(self._weight(func.items, self._scattered(func.items)))
        return super().submit(func, callback)

    def _weight(self, items, shared):
        file = io.BytesIO()
        _SharingPickler(file, shared).dump(items)
        return file.tell()

    def _mapped(self, obj):
        """Return the name of an array above 1 MB, which loky replaces by a memory map."""
        if isinstance(obj, np.ndarray) and obj.nbytes > 1e6:
            return self._once("loky_shared", obj, obj.nbytes)
        return None

    def _scattered(self, items):
        """Return a function that names arguments above 1 kB, which dask sends separately."""
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
    """Run a call with two threads, and record how much would be sent to processes.

    Parameters
    ----------
    call : callable

    Returns
    -------
    Bunch
        loky, dask : list of int
            Bytes of every task.
        loky_shared, dask_shared : list of int
            Bytes of every shared object.
    """
    _WeighingBackend.weighed = {"loky": [], "dask": [], "loky_shared": {}, "dask_shared": {}}
    register_parallel_backend("weighing", _WeighingBackend)
    with joblib.parallel_config("weighing", n_jobs=2):
        call()
    weighed, _WeighingBackend.weighed = _WeighingBackend.weighed, None
    for rule in ("loky_shared", "dask_shared"):
        weighed[rule] = [size for _, size in weighed[rule].values()]
    return Bunch(**weighed)


# ---------------------------------------------------------------- the work


def map_problem(quick):
    """Return data with four concepts, 5000 instances, 200 time steps and 64 nodes."""
    n, n_timepoints, n_nodes = (500, 10, 16) if quick else (5000, 200, 64)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, n)
    said = np.where(rng.random(n) < 0.2, rng.integers(0, 4, n), labels)
    states = rng.integers(0, 2, (n, n_timepoints, n_nodes), dtype=np.uint8)
    concepts = np.eye(4, dtype=int)
    return concepts[labels], concepts[said], states


def knockout_problem(quick):
    """Return a network of 64 nodes, data, and the time step from which each node is clamped."""
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
    """Do work that needs neither the interpreter nor additional memory."""
    for _ in range(times):
        hashlib.sha256(states[:64]).digest()


def _pure_work(quick, seconds):
    """Return a call that hashes for a given time, in as many messages as a relay map has."""
    states, times = map_problem(quick)[2], 1
    while (taken := _seconds(partial(_hash, states, times))) < 0.01:
        times *= 2
    times = max(1, round(times * seconds / taken / 32))
    tasks = [delayed(_hash)(states, times)] * 32
    return lambda: Parallel(prefer="threads", pre_dispatch="all")(tasks)


# ---------------------------------------------------------------- time and memory


@contextmanager
def workers(kind):
    """Provide two workers of a kind within a context, or this process only for "serial"."""
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
    """Return the bytes of this process and its children, counting shared pages once."""
    import psutil

    main, together = psutil.Process(), 0
    for process in (main, *main.children(recursive=True)):
        with suppress(psutil.Error):  # a process may have ended
            together += process.memory_full_info().pss
    return together


def peak_memory(call):
    """Run a call, and return the largest increase of memory in bytes."""
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
    """Return pairs of seconds, without workers and with them."""
    pairs = []
    for _ in range(n):
        with joblib.parallel_config("sequential"):
            sequential = _seconds(call)
        pairs.append((sequential, _seconds(call)))
    return pairs


def measure(kind, quick):
    """Print pairs of times, and memory, as JSON; this runs in its own process."""
    call, n = _map(quick), 1 if quick else 5
    with workers(kind):
        call()  # starts the workers, which import and load what they need
        pairs, memory = _pairs(call, n), peak_memory(call)
        work = _pure_work(quick, pairs[-1][0])
        work()
        print(json.dumps({"pairs": pairs, "memory": memory, "at most": _pairs(work, n)}))


def _in_new_process(kind, quick):
    command = [sys.executable, "-m", "benchmarks.parallel", kind, "quick" if quick else "full"]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


def _faster(pairs):
    ratios = [sequential / parallel for sequential, parallel in pairs]
    return f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def run(quick):
    """Return the benchmark as text."""
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
    faster = ["backend", "times faster", "pure work", "memory (MiB)"]
    header = ["work", "backend", "messages", "KiB each", "shared (MiB)"]
    return TEXT.format(times=markdown(faster, times), sent=markdown(header, sent))


TEXT = """## Workers

The first table is for a relay map of four concepts, n=5000, 200 time steps and 64 nodes (61 MiB of
states), with two workers of one thread each that were started before. *Times faster* is the
speed-up over running without workers: the median and range of five pairs of runs. *Pure work* is
the same for as many messages that compute hashes for as long, with the states as argument. It shows
what the machine and the backend allow, since the scheduler of dask and the threads of its workers
run on the same two cores. *Memory* is the peak above the memory before the call, of all processes
together, with shared pages counted once.

{times}

The second table shows what is sent, for that map, and for knockouts of each node of a GRU on a
panel of the same size. loky puts arrays above 1 MB into memory maps that workers share. dask sends
an argument above 1 kB once, and workers pass it on among themselves. A message has up to 32 time
steps of a relay map, or 32 knockouts.

{sent}
"""


if __name__ == "__main__":
    measure(sys.argv[1], sys.argv[2] == "quick")
