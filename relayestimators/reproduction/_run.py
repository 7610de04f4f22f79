"""All nets of the reproduction: run once, kept, gathered in one file."""

import json
import os
import platform
import time
import warnings
import zlib
from importlib.metadata import version
from pathlib import Path

from joblib import Parallel, delayed
from tqdm.auto import tqdm

from .._runtime import one_thread, processor
from .._text import plain
from .._validation import check_integer
from ._measure import measure
from ._plan import BEYOND, PAPER, Experiment

_PACKAGES = ("relayestimators", "numpy", "scipy", "scikit-learn", "torch", "skorch", "sktime")
_QUICK = 2, 1  # seeds


def reproduce(folder, *, n_seeds=10, n_seeds_beyond=5, quick=False, n_jobs=None, verbose=0):
    """Train and measure all nets of the reproduction, and write one file of results.

    A net that has been measured is kept in the folder ``nets``, and not run again: a run that was
    stopped goes on where it was.

    Parameters
    ----------
    folder : path
        Where to write; made if it is not there.
    n_seeds : int, default=10
        Nets of each cell on each task of the paper.
    n_seeds_beyond : int, default=5
        Nets of each cell and level of what goes beyond the paper.
    quick : bool, default=False
        Two seeds and one, little data, short training: to see that it runs, not what it finds.
    n_jobs : int, optional
        Joblib workers, one net each.
    verbose : int, default=0
        Show a progress bar.

    Returns
    -------
    dict
        What ``results.json`` holds: "settings", "versions", and "nets", a list with one dict per
        net.
    """
    check_integer(n_seeds, name="n_seeds", low=1)
    check_integer(n_seeds_beyond, name="n_seeds_beyond", low=1, high=n_seeds)
    if quick:
        n_seeds, n_seeds_beyond = _QUICK
    folder, start = Path(folder), time.perf_counter()
    kept = folder / "nets"
    kept.mkdir(parents=True, exist_ok=True)
    versions = {"processor": processor(), "python": platform.python_version()}
    versions |= {name: version(name) for name in _PACKAGES}
    jobs = {
        _file(kept, experiment, quick, in_depth, versions): (experiment, in_depth)
        for experiment, in_depth in _experiments(n_seeds, n_seeds_beyond).items()
    }
    missing = [path for path in jobs if not path.exists()]
    # the longest first, so that no worker is left alone with one at the end
    missing.sort(key=lambda path: _expected_length(*jobs[path]), reverse=True)
    done = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(_keep)(path, *jobs[path], quick) for path in missing
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
    """Return every net once: {Experiment: whether in depth}."""
    groups = list(PAPER.experiments(range(n_seeds)).values())
    for question in BEYOND.values():
        groups += question.experiments(range(n_seeds_beyond)).values()
    return {
        net: net.task == "memory" and net == Experiment(*net[:3]) and net.seed < n_seeds_beyond
        for group in groups
        for net in group
    }


def _expected_length(experiment, in_depth):
    return in_depth, experiment.task == "BasicMotions", bool(experiment.net_options)


def _file(folder, experiment, quick, in_depth, versions):
    """Return where a net is kept; another version, processor or setting has another file."""
    fingerprint = json.dumps([experiment, quick, in_depth, versions])
    return folder / f"{experiment.name}-{zlib.crc32(fingerprint.encode()):08x}.json"


def _keep(path, experiment, in_depth, quick):
    """Measure a net and keep what came out."""
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # coverage is in the tables
        record = measure(experiment, quick=quick, in_depth=in_depth)
    _write(path, experiment._asdict() | record)
    return experiment.name


def _write(path, content):
    """Write a file of JSON, whole or not at all."""
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(plain(content, digits=5)) + "\n")
    os.replace(draft, path)
