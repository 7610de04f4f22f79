"""Speed of the counting kernels, compared with other libraries, and of a whole relay map."""

import resource
import subprocess
import sys
import time

import numpy as np
from sklearn.metrics import mutual_info_score
from tqdm import tqdm

from relayestimators import relay_map
from relayestimators.relay import shrinking_subset_aggregation
from relayestimators.relay._counting import sort_problem
from relayestimators.relay._removal import shrink

from .models import make
from .tables import markdown


def _codes(states):
    if states.shape[1] == 0:
        return np.zeros(len(states), dtype=int)
    return np.unique(states, axis=0, return_inverse=True)[1].reshape(-1)


def _sklearn(a, b, states):
    z = _codes(states)
    chain = mutual_info_score(a, z * (b.max() + 1) + b) - mutual_info_score(a, z)
    return chain / np.log(2)


def _pyinform(a, b, states):
    from pyinform.mutualinfo import mutual_info

    z = _codes(states)
    return mutual_info(a, np.unique(z * (b.max() + 1) + b, return_inverse=True)[1]) - (
        mutual_info(a, z) if z.any() else 0.0
    )


def _infomeasure(a, b, states):
    import infomeasure

    return infomeasure.conditional_mutual_information(
        a, b, cond=_codes(states), approach="discrete", base=2
    )


def _dit(a, b, states):
    import dit

    outcomes, counts = np.unique(np.c_[a, b, _codes(states)], axis=0, return_counts=True)
    distribution = dit.Distribution([tuple(map(int, o)) for o in outcomes], counts / len(a))
    return dit.multivariate.coinformation(distribution, [[0], [1]], [2])


PEERS = {
    "pyinform": _pyinform,
    "scikit-learn": _sklearn,
    "infomeasure": _infomeasure,
    "dit": _dit,
}


def _greedy(information, a, b, states):
    """Return order and curve of the published search with I(A;B|Y_0) from another library."""
    candidates, rest, curve = list(range(states.shape[1])), [], []
    while candidates:
        values = [information(a, b, states[:, [*rest, node]]) for node in candidates]
        best = next(i for i, value in enumerate(values) if value > max(values) - 1e-9)
        rest.append(candidates.pop(best))
        curve.append(values[best])
    return rest, np.array(curve)


def _seconds(function, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def _silence_infomeasure():
    import logging

    logging.getLogger("infomeasure").setLevel(logging.ERROR)


def run(quick):
    """Return the benchmark as text."""
    _silence_infomeasure()
    rows = []
    for name in ("independent", "low rank"):
        for n_nodes in (16, 64):
            a, b, states, _ = make(name, 0, 2000, n_nodes)
            problem = sort_problem(a, b, states)
            shrink(problem)
            seconds = _seconds(lambda p=problem: shrink(p), 5 if quick else 20)
            evaluations = n_nodes * (n_nodes + 1) / 2
            rows.append([name, n_nodes, f"{1e9 * seconds / (2000 * evaluations):.2f}"])
    kernel = markdown(["model", "nodes", "ns per (instance x evaluation)"], rows)

    a, b, states, _ = make("independent", 0, 2000, 16)
    ours = _seconds(lambda: shrinking_subset_aggregation(a, b, states), 20)
    result = shrinking_subset_aggregation(a, b, states)
    curve = result.relay_information[1:] - result.relay_information[0]
    rows = [["relayestimators", "1", "", ""]]
    for peer, information in tqdm(PEERS.items(), desc="peers"):
        start = time.perf_counter()
        order, theirs = _greedy(information, a, b, states)
        seconds = time.perf_counter() - start
        first = information(a, b, states[:, []])
        difference = np.abs(theirs - first - curve).max()
        same = "yes" if order == result.order.tolist() else "no"
        rows.append([peer, f"{seconds / ours:.0f}", same, f"{difference:.0e}"])
    header = ["library", "time, ours = 1", "same order", "largest difference (bits)"]
    peers = markdown(header, rows)

    whole = _in_new_process("-m", "benchmarks.speed", "quick" if quick else "full")
    return (
        "## Speed\n\nThe published search, with n=2000, A and B with 4 values, and one thread, "
        f"takes:\n\n{kernel}\n\nThe same search with 16 nodes, with I(A;B|Y_0) computed by other "
        f"libraries, in one run, takes:\n\n{peers}\n\n{whole}\n{_start_up()}"
    )


def _in_new_process(*arguments):
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _start_up():
    """Return the time of imports and of a first call in new processes, as minimum of three."""
    libraries = "import torch, skorch, sklearn.base"
    call = "relayestimators.relay_map([[0], [1]] * 9, [[0], [1]] * 9, [[[0, 1]], [[1, 1]]] * 9)"
    snippets = {
        "torch, skorch and scikit-learn": libraries,
        "these and relayestimators": f"{libraries}, relayestimators",
        "a first relay map after that": f"{libraries}, relayestimators; {call}",
    }
    _in_new_process("-c", snippets["a first relay map after that"])  # stores compiled code on disk
    rows = []
    for what, code in snippets.items():
        seconds = _seconds(lambda code=code: _in_new_process("-c", code), 3)
        rows.append([what, f"{seconds:.1f}"])
    table = markdown(["a new process that imports", "seconds in all"], rows)
    return f"Start-up times, with compiled code stored on disk by an earlier process:\n\n{table}\n"


def whole_map(quick):
    """Print the time of a large relay map, and its memory, which needs a separate process."""
    n, n_timepoints, n_nodes, n_concepts = (500, 10, 16, 2) if quick else (10_000, 100, 64, 10)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_concepts, n)
    said = np.where(rng.random(n) < 0.2, rng.integers(0, n_concepts, n), labels)
    concepts = np.eye(n_concepts, dtype=int)
    states = rng.integers(0, 4, (n, n_timepoints, n_nodes), dtype=np.uint8)
    options = {"labels": labels, "log_odds": rng.normal(size=(n, n_concepts)), "random_state": 0}
    relay_map(
        concepts[labels[:100]], concepts[said[:100]], states[:100, :1]
    )  # loads the compiled code
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    relay_map(concepts[labels], concepts[said], states, n_jobs=2, **options)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"A relay map of n={n}, {n_timepoints} time steps, {n_nodes} nodes of four states, and "
        f"{n_concepts} concepts takes {seconds:.0f} s with the default method and two workers, and "
        f"{(after - before) / 1024**2:.2f} GiB of memory beyond its arguments.\n"
    )


if __name__ == "__main__":
    whole_map(sys.argv[1:] == ["quick"])
