"""Run all benchmarks, or some by name, print their tables, and write them to a file.

If there are several, each one runs in its own process, so that the libraries that one imports do
not influence the memory and time of the next.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import torch

from relayestimators._runtime import processor

from . import (
    accuracy,
    calibration,
    causal,
    composite,
    knockouts,
    parallel,
    planted,
    rankings,
    speed,
    training,
    truth,
)

PARTS = {
    "truth": truth,
    "planted": planted,
    "composite": composite,
    "causal": causal,
    "calibration": calibration,
    "speed": speed,
    "knockouts": knockouts,
    "training": training,
    "parallel": parallel,
}
SEPARATE_PAGES = {"rankings": rankings, "accuracy": accuracy}  # these take longest

parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
parser.add_argument(
    "parts", nargs="*", choices=[*PARTS, *SEPARATE_PAGES, []], help=f"by default {', '.join(PARTS)}"
)
parser.add_argument(
    "--quick", action="store_true", help="use few seeds, to check that everything runs"
)
parser.add_argument("--output", type=Path, help="file to write")
options = parser.parse_args()


def header(title, target):
    """Return the title of a page, and the versions it was made with."""
    packages = ("relayestimators", "numpy", "numba", "torch", "scikit-learn", "skorch", "sktime")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"# {title}\n\nThis page is written by `make {target}`. Compare ratios rather than "
        f"seconds. Processor: {processor()}. Versions: Python {platform.python_version()}, "
        f"{versions}.\n"
    )


def run(name, quick):
    """Return the result of a benchmark as text."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    return (PARTS | SEPARATE_PAGES)[name].run(quick)


def run_in_new_process(name, quick):
    """Return the result of a benchmark that runs in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "part.md"
        command = [sys.executable, "-m", "benchmarks", name, "--output", page]
        subprocess.run(command + ["--quick"] * quick, check=True)
        return page.read_text().split("\n\n", 2)[2]  # without the header


names = options.parts or list(PARTS)
if len(names) == 1:
    found = [run(names[0], options.quick)]
    print(found[0], flush=True)
else:
    found = [run_in_new_process(name, options.quick) for name in names]
page = names[0] if len(names) == 1 and names[0] in SEPARATE_PAGES else None
title, target = (page.capitalize(), page) if page else ("Benchmarks", "bench")
if options.output:
    options.output.write_text("\n".join([header(title, target), *found]))
