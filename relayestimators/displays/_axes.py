"""Axes, colors, and the import of matplotlib, which all displays share."""

import numpy as np

#: Colors that can be told apart with any kind of color vision (Paul Tol's "muted" palette).
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
    """Return matplotlib's pyplot, or raise an error that names what needs it.

    Parameters
    ----------
    display : object
        Display that is to be drawn.

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
    """Return the axes to draw on, which are new if none are given.

    Parameters
    ----------
    display : object
        Display that is to be drawn.
    ax : matplotlib Axes or None
        Axes given by the user.
    projection : {None, "3d"}
        Projection that the axes must have.

    Returns
    -------
    matplotlib Axes
    """
    pyplot = pyplot_for(display)
    if ax is None:
        if projection == "3d":  # the constrained layout cuts off the label of the third axis
            figure = pyplot.figure(figsize=(7.6, 4.8))
            return figure.add_axes((0.0, 0.08, 0.66, 0.88), projection="3d")
        return pyplot.subplots(layout="constrained")[1]
    if (ax.name == "3d") != (projection == "3d"):
        need = "'3d'" if projection == "3d" else "two dimensions"
        raise ValueError(
            f"ax has projection {ax.name!r}; expected {need}, because {type(display).__name__} has "
            f"{'three' if projection == '3d' else 'two'} dimensions here."
        )
    return ax


def draw_map(ax, values, *, label, **kwargs):
    """Draw a map of nodes as an image with a color bar, and return the image.

    Parameters
    ----------
    ax : matplotlib Axes
    values : array-like of shape (n_columns, n_nodes)
        Time steps, or other columns, from left to right; nodes from bottom to top.
    label : str
        Label of the color bar.
    **kwargs : dict
        Options of ``Axes.imshow``. Without a `norm`, colors begin at 0.

    Returns
    -------
    matplotlib AxesImage
    """
    options = {"cmap": "viridis", "aspect": "auto", "origin": "lower", "interpolation": "nearest"}
    if "norm" not in kwargs:
        options["vmin"] = 0
    image = ax.imshow(np.asarray(values, dtype=float).T, **(options | kwargs))
    ax.figure.colorbar(image, ax=ax, label=label)
    return image
