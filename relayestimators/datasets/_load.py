"""Sets of labeled series that sktime ships."""

from ..panels import panel_to_tensor


def load_panel(name):
    """Load the official split of a classification set that sktime ships or has at hand.

    Parameters
    ----------
    name : str
        "ItalyPowerDemand", "BasicMotions", "JapaneseVowels", "PLAID", "GunPoint", "ArrowHead",
        "OSULeaf", "ACSF1", "UnitTest" come with sktime.

    Returns
    -------
    X_train, y_train, X_test, y_test : ndarray
        Panels of shape (n_instances, n_channels, n_timepoints), float32, and labels.

    Raises
    ------
    ValueError
        If sktime cannot load it.

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
        raise ValueError(f"sktime could not load the set {name!r}: {error}") from error
    (X_train, y_train), (X_test, y_test) = parts
    return panel_to_tensor(X_train), y_train, panel_to_tensor(X_test), y_test
