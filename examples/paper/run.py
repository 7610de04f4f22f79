"""Runs all networks of the reproduction, stores their results, and gathers them in one file."""

import json
import platform
import time
import warnings
import zlib
from importlib.metadata import version
from pathlib import Path

from joblib import Parallel, delayed
from tqdm.auto import tqdm

from relayestimators._files import jsonable, write_text
from relayestimators._runtime import one_thread, processor
from relayestimators._validation import check_integer

from .measure import measure
from .plan import BEYOND, PAPER, Experiment

_PACKAGES = ("relayestimators", "numpy", "scipy", "scikit-learn", "torch", "skorch", "sktime")
_QUICK = 2, 1  # seeds


def reproduce(folder, *, n_seeds=10, n_seeds_beyond=5, quick=False, n_jobs=None, verbose=0):
    """Train and measure all networks of the reproduction, and write one file of results.

    The results of every network are stored in the folder ``nets``, and a network that has results
    is not run again. A run that was stopped can therefore be continued.

    Parameters
    ----------
    folder : path
        Folder to write to; it is created if it does not exist.
    n_seeds : int, default=10
        Number of networks per cell type and task of the paper.
    n_seeds_beyond : int, default=5
        Number of networks per cell type and level of each step beyond the paper.
    quick : bool, default=False
        Use two seeds and one seed, little data and short training. This checks that everything
        runs; the results mean nothing.
    n_jobs : int or None, default=None
        Number of joblib workers. Every worker runs one network at a time.
    verbose : int, default=0
        If nonzero, show a progress bar.

    Returns
    -------
    dict
        Content of ``results.json``: "settings", "versions", "seconds", and "nets", a list with one
        dict per network.
    """
    check_integer(n_seeds, name="n_seeds", low=1)
    check_integer(n_seeds_beyond, name="n_seeds_beyond", low=1, high=n_seeds)
    if quick:
        n_seeds, n_seeds_beyond = _QUICK
    folder, start = Path(folder), time.perf_counter()
    stored = folder / "nets"
    stored.mkdir(parents=True, exist_ok=True)
    versions = {"processor": processor(), "python": platform.python_version()}
    versions |= {name: version(name) for name in _PACKAGES}
    jobs = {
        _path_of(stored, experiment, quick, in_depth, versions): (experiment, in_depth)
        for experiment, in_depth in _experiments(n_seeds, n_seeds_beyond).items()
    }
    missing = [path for path in jobs if not path.exists()]
    # The longest tasks come first, so that all workers finish at about the same time.
    missing.sort(key=lambda path: _expected_length(*jobs[path]), reverse=True)
    done = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(_measure_and_store)(path, *jobs[path], quick) for path in missing
    )
    bar = tqdm(total=len(jobs), initial=len(jobs) - len(missing), disable=not verbose, unit="net")
    for name in done:
        bar.set_postfix_str(name)
        bar.update()
    bar.close()
    results = {
        "settings": {"seeds": n_seeds, "seeds beyond": n_seeds_beyond, "quick": quick},
        "versions": versions,
        "seconds": round(time.perf_counter() - start),
        "nets": [json.loads(path.read_text()) for path in jobs],
    }
    _write(folder / "results.json", results)
    return results


def _experiments(n_seeds, n_seeds_beyond):
    """Return every network once: {Experiment: whether it is measured in depth}."""
    groups = list(PAPER.experiments(range(n_seeds)).values())
    for question in BEYOND.values():
        groups += question.experiments(range(n_seeds_beyond)).values()
    return {
        net: net.task == "memory" and net == Experiment(*net[:3]) and net.seed < n_seeds_beyond
        for group in groups
        for net in group
    }


def _expected_length(experiment, in_depth):
    """Return a sort key that orders networks by the expected time they take."""
    return in_depth, experiment.task == "BasicMotions", bool(experiment.net_options)


def _path_of(folder, experiment, quick, in_depth, versions):
    """Return the path of a network's results; it depends on settings, versions and processor."""
    fingerprint = json.dumps([experiment, quick, in_depth, versions])
    return folder / f"{experiment.name}-{zlib.crc32(fingerprint.encode()):08x}.json"


def _measure_and_store(path, experiment, in_depth, quick):
    """Measure a network, store the results, and return its name."""
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tables state the coverage
        record = measure(experiment, quick=quick, in_depth=in_depth)
    _write(path, experiment._asdict() | record)
    return experiment.name


def _write(path, content):
    write_text(path, json.dumps(jsonable(content, digits=5)) + "\n")
