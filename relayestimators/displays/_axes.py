"""Axes to draw on, colors, and what figures have in common."""

#: Colors that people with any kind of color vision can tell apart (Paul Tol's "muted").
COLORS = (
    "#332288",
    "#CC6677",
    "#117733",
    "#88CCEE",
    "#882255",
    "#DDCC77",
    "#44AA99",
    "#AA4499",
    "#999933",
)


def pyplot_for(display):
    """Return matplotlib's pyplot, or say who needs it.

    Parameters
    ----------
    display : object
        What is to be drawn.

    Returns
    -------
    module
    """
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(
            f"{type(display).__name__}.plot needs matplotlib, which is not installed: "
            "pip install 'relayestimators[plot]'."
        ) from None
    return pyplot


def axes_for(display, ax, *, projection=None):
    """Return the axes to draw on, new ones if none are given.

    Parameters
    ----------
    display : object
        What is to be drawn.
    ax : matplotlib Axes or None
        What the user gave.
    projection : {None, "3d"}
        What kind of axes is needed.

    Returns
    -------
    matplotlib Axes
    """
    pyplot = pyplot_for(display)
    if ax is None:
        if projection == "3d":  # the layout overlooks the label of the third axis
            figure = pyplot.figure(figsize=(7.6, 4.8))
            return figure.add_axes((0.0, 0.08, 0.66, 0.88), projection="3d")
        return pyplot.subplots(layout="constrained")[1]
    if (ax.name == "3d") != (projection == "3d"):
        need = "'3d'" if projection == "3d" else "two dimensions"
        raise ValueError(
            f"ax has projection {ax.name!r}; expected {need}, for what {type(display).__name__} "
            "draws here."
        )
    return ax
