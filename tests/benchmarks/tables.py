"""Tables in Markdown."""


def markdown(header, rows):
    """Return a table in Markdown; numbers are written as the caller wants them."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
