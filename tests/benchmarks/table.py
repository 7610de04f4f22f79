"""Markdown tables."""


def markdown(header, rows):
    """Return a table; numbers are written as the caller wants them."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
