"""The block task: a block moves along a row of sensors."""

from math import prod

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._docs import fill_docs
from .._validation import check_choice, check_integer, check_integers, check_nonnegative

#: Largest product of worlds and time steps, which takes some hundred MiB of memory.
_LARGEST_SIZE = 2**23


@fill_docs
def make_block_task(
    n_instances=1000,
    *,
    target="both",
    sizes=(2, 4),
    n_sensors=10,
    blind=2,
    duration=(3, 8),
    max_onset=3,
    delay=4,
    noise=0.1,
    random_state=None,
):
    """Generate a block task, in which the size and direction of a moving block are to be told.

    The block appears at a random position of a row of sensors at a random time. It moves one cell
    per time step to the left or to the right and disappears after a random number of time steps;
    then the input is silent until the end. No single time step shows the direction, and the last
    one shows nothing: a network has to compare the present input with the past, and to remember
    the answer.

    Parameters
    ----------
    n_instances : int, default=1000
        Number of series, at least one for each class.
    target : {"size", "direction", "both"}, default="both"
        What the class labels are. The other property varies too.
    sizes : sequence of int, default=(2, 4)
        Numbers of cells that blocks cover; at least two sizes, or one with ``target="direction"``.
    n_sensors : int, default=10
        Number of sensors in the row. Each has a channel.
    blind : int, default=2
        Number of cells without a sensor in the middle of the row, where the block is not seen.
    duration : tuple of two int, default=(3, 8)
        Smallest and largest number of time steps for which the block is present; at least 2, or 1
        with ``target="size"``.
    max_onset : int, default=3
        Latest time step at which the block appears; the earliest is 0.
    delay : int, default=4
        Number of silent time steps after the last one at which a block can be present.
    noise : float, default=0.1
        Standard deviation of Gaussian noise on all sensors, independent at every time step. The
        signal of a sensor is 1 under the block and 0 elsewhere.
    %(random_state)s labels, blocks and noise

    Returns
    -------
    task : :class:`~sklearn.utils.Bunch`
        data : ndarray of shape (n_instances, n_sensors, n_timepoints), float32
            The panel, which has ``max_onset + duration[1] + delay`` time steps.
        target : ndarray of shape (n_instances,), int
            Labels from 0 to n_classes - 1, shuffled. The sizes of the classes differ by at most 1.
        concepts : ndarray of shape (n_classes, n_concepts), int
            Concept table, with one column for each of `concept_names`: the index of the size in
            `sizes`, and the direction, 0 for left and 1 for right.
        concept_names : list of str
            "size" and "direction", or only the one in `target`.
        known_from : ndarray of shape (n_instances, n_concepts), int
            First time step at which the input without noise determines the value of the concept.
            The hidden state at this time step is the earliest that can know it for certain.
        shown : ndarray of shape (n_instances, 2), int
            Window [start, stop) of time steps at which the block is present.
        size : ndarray of shape (n_instances,), int
            Number of cells that the block covers.
        direction : ndarray of shape (n_instances,), int
            0 for left and 1 for right.
        position : ndarray of shape (n_instances,), int
            Leftmost cell that the block covers when it appears. Blind cells are counted too.
        sensors : ndarray of shape (n_sensors,), int
            Cell of the row at which each sensor is.
        delay : tuple of two int
            Window [start, stop) of time steps at which no block can be present, to the end.
        channel_names : list of str
            Names of the channels.

    Raises
    ------
    TypeError
        If a number of instances, cells or time steps is not an integer, `sizes` or `duration` has
        values that are not integers, or `noise` is not a number.
    ValueError
        If one of them is out of range, there are fewer instances than classes, the row is too
        short for the largest block and the longest duration, or no world of a block determines its
        class.

    See Also
    --------
    make_memory_task : Task with symbols that are recalled after a delay.
    RelayAnalyzer : Finds the nodes that carry each concept; takes ``task.concepts``.

    Notes
    -----
    The task is derived from block catching, or active categorical perception [1]_ [2]_ [3]_ [4]_,
    but has no agent. There, an agent moves below a falling block; it should catch blocks of one
    size and avoid blocks of another size. A gap between its sensors makes memory necessary, and
    the representation of the size and direction of the block is measured [4]_.

    A world is a combination of size, direction, position, onset and duration. All worlds of a label
    are equally likely. The block is always entirely within the row: it appears without entering
    from a side, and shows all its cells except the blind ones. To compute `known_from`, all worlds
    are compared: a concept is known as soon as all worlds that have looked the same so far agree
    on its value. Before that, the input may make one value more likely. Worlds that do not
    determine the answer until the end, for example because the block stays in the blind cells,
    are never drawn, and `known_from` does not consider them.

    If no world is left out for this reason, the average over time contains no information about
    the direction: blocks that move left cover the same cells equally often as blocks that move
    right. The average contains some information about the size; the wider the range of durations,
    the less: 4 time steps of a block of size 2 look the same as 2 time steps of a block of size 4.

    The task becomes more difficult with sizes closer to each other, more blind cells, shorter
    durations, later onsets, a longer delay, and more noise.

    With the same int as `random_state`, the labels depend only on the numbers of instances and
    classes, and `noise` changes nothing else that is drawn.

    References
    ----------
    .. [1] R. D. Beer (1996). Toward the evolution of dynamical neural networks for minimally
       cognitive behavior. From Animals to Animats 4, 421-429.
    .. [2] R. D. Beer (2003). The dynamics of active categorical perception in an evolved model
       agent. Adaptive Behavior 11(4), 209-243.
    .. [3] M. van Dartel, I. Sprinkhuizen-Kuyper, E. Postma, J. van den Herik (2005). Reactive
       agents and perceptual ambiguity. Adaptive Behavior 13(3), 227-242.
    .. [4] L. Marstaller, A. Hintze, C. Adami (2013). The evolution of representation in simple
       cognitive networks. Neural Computation 25(8), 2079-2107. arXiv:1206.5771.

    Examples
    --------
    A block of size 4 moves left. Every line is a time step, and there are two blind cells in the
    middle. The direction is known at once, because a block at the right end of the row cannot move
    right. The size is known one time step later, because a block of size 2 first looks the same:

    >>> from relayestimators.datasets import make_block_task
    >>> task = make_block_task(
    ...     100, n_sensors=4, duration=(2, 3), max_onset=1, delay=1, noise=0, random_state=0
    ... )
    >>> task.data[0].T.astype(int)
    array([[0, 0, 0, 0],
           [0, 0, 1, 1],
           [0, 1, 1, 0],
           [1, 1, 0, 0],
           [0, 0, 0, 0]])
    >>> task.concept_names, task.concepts[task.target[0]], task.known_from[0]
    (['size', 'direction'], array([1, 0]), array([2, 1]))
    """
    check_integer(n_instances, name="n_instances", low=1)
    check_choice(target, name="target", choices=("size", "direction", "both"))
    names = ["size", "direction"] if target == "both" else [target]
    sizes = check_integers(sizes, name="sizes", low=1)
    if len(set(sizes)) < len(sizes) or len(sizes) < 1 + ("size" in names):
        least = "two" if "size" in names else "one"
        raise ValueError(f"sizes={sizes!r}; expected at least {least}, all different.")
    check_integer(n_sensors, name="n_sensors", low=1)
    check_integer(blind, name="blind", low=0)
    duration = check_integers(duration, name="duration", low=1 + ("direction" in names))
    if len(duration) != 2 or duration[0] > duration[1]:
        raise ValueError(
            f"duration={duration!r}; expected the smallest and the largest number of time steps."
        )
    check_integer(max_onset, name="max_onset", low=0)
    check_integer(delay, name="delay", low=0)
    check_nonnegative(noise, name="noise")
    n_instances, n_sensors, blind = int(n_instances), int(n_sensors), int(blind)
    max_onset, delay = int(max_onset), int(delay)
    concepts = _block_concepts(n_instances, names, len(sizes))

    sensors = np.arange(n_sensors) + blind * (np.arange(n_sensors) >= n_sensors // 2)
    silence = max_onset + duration[1]
    worlds = _block_worlds(sizes, n_sensors + blind, duration, max_onset)
    views, frames = _block_views(worlds, sensors, n_sensors + blind, silence)
    truth = np.stack([{"size": worlds.code, "direction": worlds.direction}[k] for k in names], 1)
    determined = (_known_from(views, truth) < silence).all(axis=1)
    # Worlds that look the same until the end are left out together, so all remaining worlds are
    # determined also among themselves, perhaps earlier.
    known_from = np.full(truth.shape, silence)
    known_from[determined] = _known_from(views[determined], truth[determined])

    rng = check_random_state(random_state)
    target = rng.permutation(np.arange(n_instances) % len(concepts))
    chosen = _draw_worlds(target, concepts, np.where(determined[:, None], truth, -1), rng)
    data = np.zeros((n_instances, n_sensors, silence + delay), dtype=np.float32)
    data[:, :, :silence] = frames[views[chosen]].transpose(0, 2, 1)
    data += noise * rng.standard_normal(data.shape)
    return Bunch(
        data=data,
        target=target,
        concepts=concepts,
        concept_names=names,
        known_from=known_from[chosen],
        shown=np.stack([worlds.onset, worlds.onset + worlds.duration], axis=1)[chosen],
        size=worlds.size[chosen],
        direction=worlds.direction[chosen],
        position=worlds.position[chosen],
        sensors=sensors,
        delay=(silence, silence + delay),
        channel_names=[f"sensor{i}" for i in range(n_sensors)],
    )


def _block_concepts(n_instances, names, n_sizes):
    """Return the concept table with every combination of values; the size is the first column."""
    values = [n_sizes if name == "size" else 2 for name in names]
    concepts = np.stack(np.unravel_index(np.arange(np.prod(values)), values), axis=1)
    if n_instances < len(concepts):
        raise ValueError(
            f"n_instances={n_instances}; expected at least {len(concepts)}, one for each class."
        )
    return concepts


def _block_worlds(sizes, n_cells, duration, max_onset):
    """Return the properties of all worlds in which the block stays within the row."""
    shortest, longest = duration
    if n_cells < max(sizes) + longest - 1:
        raise ValueError(
            f"n_sensors and blind add up to {n_cells} cells; expected at least "
            f"{max(sizes) + longest - 1}, so that a block of size {max(sizes)} can move for "
            f"{longest} time steps."
        )
    shape = (len(sizes), 2, n_cells, max_onset + 1, longest - shortest + 1)
    if prod(shape) * (max_onset + longest) > _LARGEST_SIZE:
        raise ValueError(
            f"sizes, n_sensors, blind, duration and max_onset allow {prod(shape)} worlds of "
            f"{max_onset + longest} time steps; expected a product of at most {_LARGEST_SIZE}."
        )
    code, direction, position, onset, extra = (axis.ravel() for axis in np.indices(shape))
    size, shift = np.array(sizes)[code], (extra + shortest - 1) * (2 * direction - 1)
    fits = (np.minimum(position, position + shift) >= 0) & (
        np.maximum(position, position + shift) + size <= n_cells
    )
    worlds = {"code": code, "size": size, "direction": direction, "position": position}
    worlds |= {"onset": onset, "duration": extra + shortest}
    return Bunch(**{name: values[fits] for name, values in worlds.items()})


def _block_views(worlds, sensors, n_cells, n_timepoints):
    """Return the number of the frame that each world shows at every time step, and the frames."""
    sizes, code = np.unique(worlds.size, return_inverse=True)
    first = np.arange(n_cells)[:, None]
    covered = [(sensors >= first) & (sensors < first + size) for size in sizes]
    frames = np.concatenate([np.zeros((1, len(sensors)), dtype=bool), *covered])
    frames, number = np.unique(frames, axis=0, return_inverse=True)
    age = np.arange(n_timepoints) - worlds.onset[:, None]
    present = (age >= 0) & (age < worlds.duration[:, None])
    cell = worlds.position[:, None] + age * (2 * worlds.direction[:, None] - 1)
    return number[np.where(present, 1 + code[:, None] * n_cells + cell, 0)], frames


def _draw_worlds(target, concepts, truth, rng):
    """Draw a world for every instance; all worlds of its class are equally likely."""
    chosen = np.empty(len(target), dtype=int)
    for label, row in enumerate(concepts):
        worlds = np.flatnonzero((truth == row).all(axis=1))
        if not len(worlds):
            raise ValueError(
                f"No world of a block determines class {label} with the concepts {row.tolist()}; "
                "expected a smaller blind, more n_sensors, or a longer duration."
            )
        chosen[target == label] = worlds[rng.randint(len(worlds), size=(target == label).sum())]
    return chosen


def _known_from(views, truth):
    """Return the first time step at which all worlds that have looked the same so far agree.

    If they never agree, it is the number of time steps.
    """
    known_from = np.full(truth.shape, views.shape[1])
    # Worlds with the same number in `history` have looked the same so far.
    history, n_frames = np.zeros(len(views), dtype=int), 1 + views.max(initial=0)
    for t, view in enumerate(views.T):
        history = np.unique(history * n_frames + view, return_inverse=True)[1]
        order = np.argsort(history, kind="stable")
        starts = np.flatnonzero(np.diff(history[order], prepend=-1))
        low, high = (ends.reduceat(truth[order], starts) for ends in (np.minimum, np.maximum))
        known_from = np.where((low == high)[history], np.minimum(known_from, t), known_from)
    return known_from
