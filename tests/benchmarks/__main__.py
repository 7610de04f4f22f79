"""Run all benchmarks, or some by name, print their tables, and write them to a file."""

import argparse
import platform
import warnings
from importlib.metadata import version
from pathlib import Path

import torch

from . import calibration, composite, knockouts, planted, speed

PARTS = {
    "planted": planted,
    "composite": composite,
    "calibration": calibration,
    "speed": speed,
    "knockouts": knockouts,
}

parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all by default")
parser.add_argument("--quick", action="store_true", help="few seeds, to see that it runs")
parser.add_argument("--output", type=Path, help="file to write")
options = parser.parse_args()

torch.set_num_threads(1)
warnings.simplefilter("ignore")
packages = ("relayestimators", "numpy", "numba", "torch", "scikit-learn")
versions = ", ".join(f"{name} {version(name)}" for name in packages)
text = (
    "# Benchmarks\n\nMade by `make bench`; read ratios, not seconds. "
    f"Python {platform.python_version()}, {versions}.\n"
)
for name in options.parts or PARTS:
    part = PARTS[name].run(options.quick)
    print(part, flush=True)
    text += "\n" + part
if options.output:
    options.output.write_text(text)
