"""Loader of the classification data sets that sktime provides."""

from ..panels import panel_to_tensor


def load_panel(name):
    """Load the official split of a classification data set through sktime.

    Parameters
    ----------
    name : str
        Name of the data set. "ItalyPowerDemand", "BasicMotions", "JapaneseVowels", "PLAID",
        "GunPoint", "ArrowHead", "OSULeaf", "ACSF1" and "UnitTest" come with sktime.

    Returns
    -------
    X_train : ndarray of shape (n_instances, n_channels, n_timepoints), float32
        Training panel.
    y_train : ndarray of shape (n_instances,)
        Labels of the training panel.
    X_test : ndarray of shape (n_instances, n_channels, n_timepoints), float32
        Test panel.
    y_test : ndarray of shape (n_instances,)
        Labels of the test panel.

    Raises
    ------
    ValueError
        If sktime cannot load the data set.

    See Also
    --------
    make_memory_task : Artificial task with known concepts.
    make_block_task : Artificial task with known concepts.

    Examples
    --------
    >>> from relayestimators import load_panel
    >>> X_train, y_train, X_test, y_test = load_panel("UnitTest")
    >>> X_train.shape, X_test.shape
    ((20, 1, 24), (22, 1, 24))
    """
    from sktime.datasets import load_UCR_UEA_dataset

    try:
        parts = [load_UCR_UEA_dataset(name, split=split) for split in ("train", "test")]
    except Exception as error:
        raise ValueError(
            f"{name=}; expected a classification data set that sktime can load. sktime says: "
            f"{error}"
        ) from error
    (X_train, y_train), (X_test, y_test) = parts
    return panel_to_tensor(X_train), y_train, panel_to_tensor(X_test), y_test
