"""Results as JSON, and files that are written whole or not at all."""

import os
from pathlib import Path

import numpy as np


def jsonable(value, *, digits=17):
    """Return a value made of what JSON can hold.

    Parameters
    ----------
    value : object
        Dicts, sequences, arrays and scalars are converted; anything else becomes its ``str``.
    digits : int, default=17
        Significant digits of a float; 17 keep all of them.

    Returns
    -------
    object
        NaN becomes None and infinity a string, since JSON has neither;
        ``numpy.array(..., dtype=float)`` reads both back.
    """
    if isinstance(value, dict):
        return {str(key): jsonable(item, digits=digits) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [jsonable(item, digits=digits) for item in value]
    if isinstance(value, float):
        if np.isnan(value):
            return None
        return str(value) if np.isinf(value) else float(f"{value:.{digits}g}")
    return value if isinstance(value, str | int | None) else str(value)


def write_text(path, text):
    """Write a UTF-8 text file, whole or not at all.

    Parameters
    ----------
    path : path
        An existing file is replaced once the new one is complete.
    text : str
    """
    path = Path(path)
    draft = path.with_name(path.name + ".part")
    draft.write_text(text, encoding="utf-8", newline="")
    os.replace(draft, path)
