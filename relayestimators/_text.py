"""Results as text: Markdown tables, and what JSON can hold.

Floor 0: numpy only.
"""

import numpy as np


def markdown(header, rows):
    """Return a table in Markdown; numbers are written as the caller wants them.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequence of str

    Returns
    -------
    str
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def plain(value, *, digits=17):
    """Turn arrays into lists; what is no number becomes None, infinity a string.

    Parameters
    ----------
    value : object
        Of dicts, sequences, arrays and scalars; of anything else its str.
    digits : int, default=17
        Significant digits of a float; 17 are all there are.

    Returns
    -------
    object
        For JSON, which knows neither; ``numpy.array(..., dtype=float)`` reads both back.
    """
    if isinstance(value, dict):
        return {str(key): plain(item, digits=digits) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item, digits=digits) for item in value]
    if isinstance(value, float):
        if np.isnan(value):
            return None
        return str(value) if np.isinf(value) else float(f"{value:.{digits}g}")
    return value if isinstance(value, str | int | None) else str(value)
