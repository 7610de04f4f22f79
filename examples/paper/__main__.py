"""The command line of the reproduction: ``python -m paper``, with ``examples`` on the path."""

import argparse
from pathlib import Path

from relayestimators._validation import check_integer

from . import reproduce, write_findings


def parser():
    """Return the parser of the command line."""
    command_line = argparse.ArgumentParser(
        prog="paper",
        description="Train networks of many seeds, test the claims of the paper, and write a page "
        "with figures and results. Networks whose results are already there are not trained again.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = command_line.add_argument
    add("--output", type=Path, default=Path("docs/findings"), help="folder to write to")
    add("--seeds", type=int, default=10, help="networks per cell type and task")
    add("--seeds-beyond", type=int, default=5, help="networks per cell type and step beyond")
    add("--quick", action="store_true", help="few small networks, to check that everything runs")
    add("--jobs", type=int, default=None, help="number of joblib workers")
    add("--quiet", action="store_true", help="do not show a progress bar")
    return command_line


def main(arguments=None):
    """Run the command line and return the exit status."""
    command_line = parser()
    options = command_line.parse_args(arguments)
    try:
        check_integer(options.seeds, name="--seeds", low=1)
        check_integer(options.seeds_beyond, name="--seeds-beyond", low=1, high=options.seeds)
        options.output.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        command_line.error(str(error))
    results = reproduce(
        options.output,
        n_seeds=options.seeds,
        n_seeds_beyond=options.seeds_beyond,
        quick=options.quick,
        n_jobs=options.jobs,
        verbose=not options.quiet,
    )
    for path in [options.output / "results.json", *write_findings(results, options.output)]:
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
