"""The command line: ``relayestimators study`` and ``relayestimators reproduce``.

Floor 8: argparse, torch for its number of threads, and the floors below. It parses, calls a study,
and hands its result to the report.
"""

import argparse
from pathlib import Path

import torch

from ._validation import check_integer
from .classifiers import CELLS
from .panels import load_panel
from .relay import DEFAULT_METHOD, METHODS
from .report import study_table, write_study
from .reproduction import reproduce, write_findings
from .studies import relay_study


def parser():
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="relayestimators", description="Information relays in recurrent networks."
    )
    commands = top.add_subparsers(dest="command", required=True)
    study = _command(
        commands,
        _study,
        "study",
        "train, find relays, knock them out; print a table, write figures and results",
    )
    study.add_argument("--dataset", default="ItalyPowerDemand", help="a set that sktime ships")
    study.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS), help="networks")
    study.add_argument("--hidden-size", type=int, default=32, help="nodes per network")
    study.add_argument("--epochs", type=int, default=100, help="training epochs")
    study.add_argument("--relays", type=int, default=8, help="nodes per relay set")
    study.add_argument(
        "--method", choices=METHODS, default=DEFAULT_METHOD, help="how nodes are scored"
    )
    study.add_argument("--random-sets", type=int, default=20, help="random sets per relay set")
    study.add_argument("--seed", type=int, default=0, help="of training, contexts, random sets")
    study.add_argument(
        "--threads", type=int, default=1, help="torch threads; small nets are fastest with one"
    )
    paper = _command(
        commands,
        _reproduce,
        "reproduce",
        "train nets of many seeds, test the claims of the paper; write a page, figures and results",
    )
    paper.add_argument("--seeds", type=int, default=10, help="nets per cell and task")
    paper.add_argument("--seeds-beyond", type=int, default=5, help="nets per step beyond the paper")
    paper.add_argument("--quick", action="store_true", help="small and few, to see that it runs")
    return top


def _command(commands, run, name, words):
    """Return the parser of one command, with the options all have."""
    command = commands.add_parser(
        name, help=words, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    command.set_defaults(run=run)
    command.add_argument("--output", type=Path, default=Path(name), help="folder to write to")
    command.add_argument("--jobs", type=int, default=None, help="joblib workers")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    return command


def main(arguments=None):
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        Instead of those of the process.

    Returns
    -------
    int
        Exit status.
    """
    command_line = parser()
    options = command_line.parse_args(arguments)
    return options.run(options, command_line)


def _study(options, command_line):
    try:
        check_integer(options.hidden_size, name="--hidden-size", low=1)
        check_integer(options.relays, name="--relays", low=1, high=options.hidden_size)
        check_integer(options.random_sets, name="--random-sets", low=0)
        options.output.mkdir(parents=True, exist_ok=True)
        split = load_panel(options.dataset)
    except (ValueError, OSError) as error:
        command_line.error(str(error))
    torch.set_num_threads(options.threads)
    estimators = {
        name: CELLS[name](
            module__hidden_size=options.hidden_size,
            max_epochs=options.epochs,
            random_state=options.seed,
        )
        for name in options.cells
    }
    results = relay_study(
        estimators,
        *split,
        n_relays=options.relays,
        method=options.method,
        n_random=options.random_sets,
        random_state=options.seed,
        n_jobs=options.jobs,
        verbose=not options.quiet,
    )
    settings = {k: v for k, v in vars(options).items() if k not in ("output", "run")}
    print(study_table(results, dataset=options.dataset))
    return _wrote(write_study(results, options.output, settings=settings))


def _reproduce(options, command_line):
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
    return _wrote([options.output / "results.json", *write_findings(results, options.output)])


def _wrote(paths):
    for path in paths:
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
