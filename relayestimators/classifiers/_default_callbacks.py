"""skorch's default callbacks, without the work that nobody sees."""

import numpy as np
from skorch.callbacks import EpochScoring, PrintLog


class QuietPrintLog(PrintLog):
    """skorch's PrintLog; makes no table that is not printed.

    Parameters are those of :class:`skorch.callbacks.PrintLog`.

    Examples
    --------
    >>> from relayestimators import RNNClassifier
    >>> net = RNNClassifier(max_epochs=1, random_state=0)
    >>> net = net.fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])  # verbose=0
    """

    def on_epoch_end(self, net, **kwargs):
        """Print the row of an epoch.

        Parameters
        ----------
        net : NeuralNet
            Printed if it is verbose.
        **kwargs : dict
            As skorch passes them.
        """
        if net.verbose or self.sink is not print:
            super().on_epoch_end(net, **kwargs)


def accuracy(net, X, y):
    """Return the share of right predictions, as "accuracy" of scikit-learn does.

    Parameters
    ----------
    net : NeuralNetClassifier
    X : object
        What `net` predicts from.
    y : ndarray of shape (n_instances,)
        Codes, known to be right: scikit-learn checks them anew in every epoch, which takes
        longer than a training step.

    Returns
    -------
    float
    """
    return float(np.mean(net.predict(X) == y))


def lightened(callbacks):
    """Return skorch's default callbacks with light stand-ins under the same names.

    Parameters
    ----------
    callbacks : list of (str, Callback)

    Returns
    -------
    list of (str, Callback)
    """
    light = {
        "valid_acc": EpochScoring(accuracy, name="valid_acc", lower_is_better=False),
        "print_log": QuietPrintLog(),
    }
    return [(name, light.get(name, callback)) for name, callback in callbacks]
