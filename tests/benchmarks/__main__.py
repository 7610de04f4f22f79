"""Run all benchmarks, or some by name, print their tables, and write them to a file.

Several run each in a process of its own: what one imports must not weigh on the next.
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
    composite,
    knockouts,
    parallel,
    planted,
    rankings,
    speed,
    training,
)

PARTS = {
    "planted": planted,
    "composite": composite,
    "calibration": calibration,
    "speed": speed,
    "knockouts": knockouts,
    "training": training,
    "parallel": parallel,
}
APART = {"rankings": rankings, "accuracy": accuracy}  # take long, and have pages of their own

parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
parser.add_argument(
    "parts", nargs="*", choices=[*PARTS, *APART, []], help=f"by default {', '.join(PARTS)}"
)
parser.add_argument("--quick", action="store_true", help="few seeds, to see that it runs")
parser.add_argument("--output", type=Path, help="file to write")
options = parser.parse_args()


def header(title, target):
    """Return the beginning of a page."""
    packages = ("relayestimators", "numpy", "numba", "torch", "scikit-learn", "skorch", "sktime")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"# {title}\n\nMade by `make {target}`; read ratios, not seconds. Processor "
        f"{processor()}; Python {platform.python_version()}, {versions}.\n"
    )


def run(name, quick):
    """Return what a part finds, as text."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    return (PARTS | APART)[name].run(quick)


def run_alone(name, quick):
    """Return what a part finds in a new process."""
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
    found = [run_alone(name, options.quick) for name in names]
page = names[0] if len(names) == 1 and names[0] in APART else None
title, target = (page.capitalize(), page) if page else ("Benchmarks", "bench")
if options.output:
    options.output.write_text("\n".join([header(title, target), *found]))
