"""Access to the stored results: which networks there are, and what was measured of them."""

import numpy as np

from relayestimators.classifiers import CELLS

from .plan import Experiment


class Nets:
    """All networks of a run.

    Parameters
    ----------
    results : dict
        Content of ``results.json``.
    """

    def __init__(self, results):
        self.by_experiment = {}
        for net in results["nets"]:
            options = (tuple(map(tuple, net[key])) for key in ("task_options", "net_options"))
            experiment = Experiment(net["task"], net["cell"], net["seed"], *options)
            self.by_experiment[experiment] = net
        self.cells = list(CELLS)

    def group(self, task, cell, level=({}, {})):
        """Return the networks that differ in their seeds only.

        Parameters
        ----------
        task, cell : str
        level : (dict, dict)
            Options of the task and of the classifier.

        Returns
        -------
        list of dict
            One record per network.
        """
        options = tuple(tuple(part.items()) for part in level)
        return [
            net
            for experiment, net in self.by_experiment.items()
            if (experiment.task, experiment.cell) == (task, cell) and experiment[3:] == options
        ]


def figures(group, *path, state="h", layer=-1, learned=True):
    """Return one measured value of every network.

    Parameters
    ----------
    group : list of dict
        Records of networks.
    *path : str or int
        Keys that lead to the value in the record of a layer.
    state : {"h", "c"}, default="h"
        Hidden states or memory cells.
    layer : int, default=-1
        Number of the layer; negative numbers count from the last layer.
    learned : bool, default=True
        Whether to leave out networks that did not learn their task.

    Returns
    -------
    ndarray of shape (n_nets, ...)
        NaN where the value is unknown.
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
