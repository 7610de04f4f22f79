"""Results of nets, read from the file: which nets, and which of their figures."""

import numpy as np

from relayestimators.classifiers import CELLS

from .plan import Experiment


class Nets:
    """All nets of a run.

    Parameters
    ----------
    results : dict
        What ``results.json`` holds.
    """

    def __init__(self, results):
        self.by_experiment = {}
        for net in results["nets"]:
            options = (tuple(map(tuple, net[key])) for key in ("task_options", "net_options"))
            experiment = Experiment(net["task"], net["cell"], net["seed"], *options)
            self.by_experiment[experiment] = net
        self.cells = list(CELLS)

    def group(self, task, cell, level=({}, {})):
        """Return the nets that differ in their seeds only.

        Parameters
        ----------
        task, cell : str
        level : (dict, dict)
            Options of the task and of the net.

        Returns
        -------
        list of dict
        """
        options = tuple(tuple(part.items()) for part in level)
        return [
            net
            for experiment, net in self.by_experiment.items()
            if (experiment.task, experiment.cell) == (task, cell) and experiment[3:] == options
        ]


def figures(group, *path, state="h", layer=-1, learned=True):
    """Return one figure of every net.

    Parameters
    ----------
    group : list of dict
        Nets.
    *path : str or int
        Where the figure is, from the place on.
    state : {"h", "c"}, default="h"
        Hidden states or memory cells.
    layer : int, default=-1
        Of which layer; negative ones count from the last.
    learned : bool, default=True
        Leave out nets that did not learn.

    Returns
    -------
    ndarray of shape (n_nets, ...)
        NaN where it is not known.
    """
    nets = [net for net in group if net["learned"] or not learned]
    values = [_walk(_place(net, state, layer), path) for net in nets]
    return np.array(values, dtype=float)


def _place(net, state, layer):
    layers = [place for place in net["places"] if place.startswith(state)]
    return net["places"][layers[layer]]


def _walk(part, path):
    for key in path:
        part = part[key]
    return part
