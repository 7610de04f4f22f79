"""Numbers and tables as text."""

import numpy as np


def number(value, digits=2):
    """Return a number to read; "-" if there is none."""
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def interval(estimate, digits=2):
    """Return a mean with its confidence interval."""
    low, high = number(estimate.low, digits), number(estimate.high, digits)
    return f"{number(estimate.mean, digits)} [{low}, {high}]"


def pvalue(p):
    """Return a p-value to read."""
    return "-" if np.isnan(p) else "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0")


def markdown(header, rows):
    """Return a table in Markdown; numbers are written as the caller wants them."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
