"""Run all benchmarks, or some by name, print their tables, and write them to a file."""

import argparse
import platform
import warnings
from importlib.metadata import version
from pathlib import Path

import torch

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

torch.set_num_threads(1)
warnings.simplefilter("ignore")
packages = ("relayestimators", "numpy", "numba", "torch", "scikit-learn", "skorch", "sktime")
versions = ", ".join(f"{name} {version(name)}" for name in packages)
page = options.parts[0] if len(options.parts) == 1 and options.parts[0] in APART else None
title, target = (page.capitalize(), page) if page else ("Benchmarks", "bench")
text = (
    f"# {title}\n\nMade by `make {target}`; read ratios, not seconds. "
    f"Python {platform.python_version()}, {versions}.\n"
)
for name in options.parts or PARTS:
    part = (PARTS | APART)[name].run(options.quick)
    print(part, flush=True)
    text += "\n" + part
if options.output:
    options.output.write_text(text)
