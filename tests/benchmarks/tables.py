"""Tables in Markdown."""


def markdown(header, rows):
    """Return a Markdown table; the caller formats the numbers."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
