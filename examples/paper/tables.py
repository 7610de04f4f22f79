"""Numbers and tables as text."""

import numpy as np


def number(value, digits=2):
    """Return a number as text, or "-" for NaN."""
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def interval(estimate, digits=2):
    """Return a mean and its confidence interval as text."""
    low, high = number(estimate.low, digits), number(estimate.high, digits)
    return f"{number(estimate.mean, digits)} [{low}, {high}]"


def pvalue(p):
    """Return a p-value as text, or "-" for NaN."""
    return "-" if np.isnan(p) else "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0")


def markdown(header, rows):
    """Return a Markdown table; the caller formats the numbers."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
