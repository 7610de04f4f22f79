"""The command line: ``relayestimators study``."""

import argparse
from pathlib import Path

import torch

from ._validation import check_integer
from .analyzer import INTERCHANGE
from .classifiers import CELLS
from .datasets import load_panel
from .inspection import relay_study
from .relay import DEFAULT_METHOD, METHODS
from .report import study_table, write_study


def parser():
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="relayestimators", description="Information relays in recurrent networks."
    )
    commands = top.add_subparsers(dest="command", required=True)
    study = _add_command(
        commands,
        _study,
        "study",
        "train networks, find relays, knock them out; print a table, write figures and results",
    )
    study.add_argument(
        "--dataset", default="ItalyPowerDemand", help="name of a data set that sktime provides"
    )
    study.add_argument(
        "--cells", nargs="+", choices=CELLS, default=list(CELLS), help="kinds of networks"
    )
    study.add_argument(
        "--hidden-size", type=int, default=32, help="number of hidden nodes per network"
    )
    study.add_argument("--epochs", type=int, default=100, help="number of training epochs")
    study.add_argument("--relays", type=int, default=8, help="number of nodes per set of relays")
    study.add_argument(
        "--method",
        choices=(*METHODS, INTERCHANGE),
        default=DEFAULT_METHOD,
        help="method that credits information to nodes",
    )
    study.add_argument(
        "--random-sets", type=int, default=20, help="number of random sets to compare with"
    )
    study.add_argument(
        "--seed", type=int, default=0, help="seed of training, contexts and random sets"
    )
    study.add_argument(
        "--threads", type=int, default=1, help="torch threads; small networks are fastest with one"
    )
    return top


def _add_command(commands, run, name, description):
    """Add a command with the options that all commands have, and return its parser."""
    command = commands.add_parser(
        name, help=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    command.set_defaults(run=run)
    command.add_argument("--output", type=Path, default=Path(name), help="folder for the results")
    command.add_argument("--jobs", type=int, default=None, help="number of joblib workers")
    command.add_argument("--quiet", action="store_true", help="show no progress bar")
    return command


def main(arguments=None):
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    int
        Exit status.
    """
    command_line = parser()
    options = command_line.parse_args(arguments)
    return options.run(options, command_line)


def _study(options, command_line):
    """Run a study, and return the exit status."""
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
    return _print_paths(write_study(results, options.output, settings=settings))


def _print_paths(paths):
    """Print which files were written, and return the exit status."""
    for path in paths:
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
