"""Conversion of every sktime panel format to one array; sktime is imported when needed."""

import numpy as np

from ._panel import check_panel

MULTIINDEX_ADVICE = (
    "A pd-multiindex panel has one row per time step, so scikit-learn would split time steps "
    "instead of instances and leak every series into train and test. Convert it before any split: "
    "X = panel_to_tensor(X)."
)


def panel_to_tensor(X):
    """Convert any sktime panel to one float32 array, with NaN after the end of shorter series.

    Parameters
    ----------
    X : sktime panel
        A panel of mtype numpy3D, numpyflat, nested_univ, pd-multiindex or df-list, or of any other
        mtype that sktime can convert to df-list, with series of equal or unequal length. A numeric
        DataFrame with one row per instance is read as numpyflat.

    Returns
    -------
    ndarray of shape (n_instances, n_channels, n_timepoints), float32

    Raises
    ------
    TypeError
        If X is not a panel, or contains something that is not a number.
    ValueError
        If X contains infinity, NaN inside a series, an empty series, or instances with different
        numbers of channels. The message names the place.

    See Also
    --------
    PanelToTensor : The same conversion as a transformer.

    Examples
    --------
    Two series of length 3 and 2:

    >>> import pandas as pd
    >>> from relayestimators import panel_to_tensor
    >>> panel_to_tensor([pd.DataFrame({"x": [1.0, 2.0, 3.0]}), pd.DataFrame({"x": [4.0, 5.0]})])
    array([[[ 1.,  2.,  3.]],
           [[ 4.,  5., nan]]], dtype=float32)
    """
    if hasattr(X, "iloc") and not is_multiindex(X) and not is_nested(X):
        X = X.to_numpy()
    if hasattr(X, "detach"):  # a torch tensor
        X = _without_gradient(X)
    if hasattr(X, "__array__") and not hasattr(X, "iloc"):  # also a polars table, an xarray
        X = np.asarray(X)
    if isinstance(X, list | tuple) and not any(hasattr(series, "iloc") for series in X):
        X = _nested_list(X)
    if isinstance(X, np.ndarray):
        return check_panel(_array(X))
    return check_panel(_stack(_frames(X)))


def is_multiindex(X):
    """Return whether X is a DataFrame whose rows are time steps of instances.

    Parameters
    ----------
    X : object

    Returns
    -------
    bool
    """
    return getattr(getattr(X, "index", None), "nlevels", 1) > 1


def is_nested(X):
    """Return whether X is a DataFrame whose cells are series.

    Parameters
    ----------
    X : object

    Returns
    -------
    bool
    """
    if not hasattr(X, "iloc") or X.size == 0:
        return False
    return all(hasattr(cell, "__len__") and not isinstance(cell, str) for cell in X.iloc[0])


def frames_to_tensor(X):
    """Convert a nested DataFrame or a list of DataFrames to an array; return other data unchanged.

    Parameters
    ----------
    X : object
        Data in any format.

    Returns
    -------
    object
    """
    frames = isinstance(X, list) and X and hasattr(X[0], "iloc")
    return panel_to_tensor(X) if frames or is_nested(X) else X


def one_row_per_instance(X):
    """Return data with one row per instance as a table or an array, with unchecked values.

    Parameters
    ----------
    X : object
        Panel in any format except pd-multiindex.

    Returns
    -------
    object
        Nested DataFrames, lists of DataFrames and torch tensors as arrays; other data unchanged.

    Raises
    ------
    ValueError
        If X is a pd-multiindex panel.
    """
    if is_multiindex(X):
        raise ValueError(f"X is a pd-multiindex panel. {MULTIINDEX_ADVICE}")
    X = frames_to_tensor(X)
    return _without_gradient(X) if hasattr(X, "detach") else X


def _without_gradient(X):
    """Return a torch tensor as an array."""
    return X.detach().cpu().numpy()


def _nested_list(X):
    """Return nested lists of numbers as an array, and ragged lists unchanged."""
    try:
        return np.asarray(X)
    except ValueError:
        return X


def _array(X):
    """Return a numpy3D or numpyflat panel as (n_instances, n_channels, n_timepoints)."""
    if X.ndim not in (2, 3):
        raise ValueError(
            f"X has shape {X.shape}; expected (n_instances, n_channels, n_timepoints), or "
            "(n_instances, n_timepoints) for one channel."
        )
    if X.dtype.kind not in "biuf":
        X = _numbers(X, "X")
    return X[:, None, :] if X.ndim == 2 else X


def _numbers(values, where):
    """Return an array of objects as floats, or raise an error that names the invalid element."""
    if values.dtype.kind == "c":
        raise TypeError(f"{where} contains complex numbers; expected real numbers.")
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        for index, value in np.ndenumerate(values):
            try:
                float(value)
            except (TypeError, ValueError):
                position = ", ".join(map(str, index))
                raise TypeError(
                    f"{where} contains {value!r} ({type(value).__name__}) at [{position}]; "
                    "expected numbers."
                ) from None
        raise


def _frames(X):
    """Convert a panel to a list of DataFrames of shape (length, n_channels) by sktime."""
    from sktime.datatypes import convert, mtype

    try:
        kind = mtype(X, as_scitype="Panel")
    except TypeError:
        raise TypeError(
            f"X is a {type(X).__name__}, which is not an sktime panel; expected numpy3D arrays "
            "(n_instances, n_channels, n_timepoints), numpyflat arrays (n_instances, "
            "n_timepoints), nested_univ and pd-multiindex DataFrames, and df-list (a list of "
            "DataFrames of shape (n_timepoints, n_channels))."
        ) from None
    if kind == "nested_univ":
        _check_cells(X)
    return convert(X, from_type=kind, to_type="df-list", as_scitype="Panel")


def _check_cells(X):
    """Raise an error for a cell that is not a series, or for channels of different lengths."""
    for i, row in enumerate(X.to_numpy()):
        lengths = {len(cell) if hasattr(cell, "__len__") else None for cell in row}
        if None in lengths or any(isinstance(cell, str) for cell in row):
            raise TypeError(
                f"X: instance {i} has a cell that is not a series; expected a pandas Series."
            )
        if len(lengths) > 1:
            raise ValueError(
                f"X: the channels of instance {i} have lengths {sorted(lengths)}; expected the "
                "same length for all channels of an instance."
            )


def _stack(frames):
    """Stack (length, n_channels) frames into a NaN-padded panel."""
    series = []
    for i, frame in enumerate(frames):
        values = frame.to_numpy()
        if values.dtype.kind not in "biuf":
            values = _numbers(values, f"X: instance {i}")
        if len(values) == 0:
            raise ValueError(f"X: instance {i} is empty; expected at least one time step.")
        if i and values.shape[1] != series[0].shape[1]:
            raise ValueError(
                f"X: instance {i} has {values.shape[1]} channels; expected {series[0].shape[1]}, "
                "as instance 0 has."
            )
        series.append(values)
    if not series:
        raise ValueError("X has no instances; expected at least one.")
    shape = (len(series), series[0].shape[1], max(map(len, series)))
    panel = np.full(shape, np.nan)
    for i, values in enumerate(series):
        panel[i, :, : len(values)] = values.T
    return panel
