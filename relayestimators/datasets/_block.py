"""The block task: a block moves past a row of sensors."""

from math import prod

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._validation import check_choice, check_integer, check_integers, check_nonnegative

_MOST_CELLS = 2**23  # worlds times time steps: some hundred MiB


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
    """Make a block task: a block moves past a row of sensors; tell its size, direction, or both.

    The block appears at a random place of the row at a random time, moves one cell per time step
    to the left or to the right, is gone after a random number of steps, and the input is silent to
    the end. No single time step tells the direction, and the last one tells nothing: a network has
    to compare what it sees with what it saw, and to hold the answer.

    Parameters
    ----------
    n_instances : int, default=1000
        Number of series, at least one for each class.
    target : {"size", "direction", "both"}, default="both"
        What the classes are. What is not asked for varies all the same.
    sizes : sequence of int, default=(2, 4)
        How many cells a block covers; two sizes at least, unless the direction alone is asked for.
    n_sensors : int, default=10
        Sensors in the row, a channel each.
    blind : int, default=2
        Cells without a sensor in the middle of the row, where the block is not seen.
    duration : tuple of two int, default=(3, 8)
        Fewest and most time steps for which the block is there, at least 2 where the direction is
        asked for.
    max_onset : int, default=3
        Latest time step at which the block appears; the earliest is 0.
    delay : int, default=4
        Silent time steps after the last one at which a block can be there.
    noise : float, default=0.1
        Standard deviation of Gaussian noise on all sensors, independent at every time step. A
        sensor is 1 under the block and 0 elsewhere.
    random_state : int, RandomState instance or None, default=None
        Draws labels, what the blocks do, and noise. With the same int, labels depend on nothing but
        the number of instances and classes, and `noise` changes nothing else that is drawn.

    Returns
    -------
    task : :class:`~sklearn.utils.Bunch`
        data : ndarray of shape (n_instances, n_sensors, n_timepoints), float32
            The panel; it has ``max_onset + duration[1] + delay`` time steps.
        target : ndarray of shape (n_instances,), int
            Labels 0 to n_classes - 1, shuffled; the sizes of the classes differ by 1 at most.
        concepts : ndarray of shape (n_classes, n_concepts), int
            Concept table, one column for each of `concept_names`: the number of the size in
            `sizes`; 0 for left and 1 for right.
        concept_names : list of str
            "size" and "direction", or the one that is asked for.
        known_from : ndarray of shape (n_instances, n_concepts), int
            The first time step at which the input, if it had no noise, leaves one value of the
            concept. The hidden state of that step is the earliest that can know it for certain.
        shown : ndarray of shape (n_instances, 2), int
            First time step at which the block is there, and one after the last.
        size, direction, position : ndarray of shape (n_instances,), int
            Cells the block covers; 0 for left and 1 for right; the leftmost cell it covers at
            first, counted along the row with the blind cells.
        sensors : ndarray of shape (n_sensors,), int
            The cell of the row that each sensor watches.
        delay : tuple of two int
            First time step at which all blocks are gone, and one after the last time step.
        channel_names : list of str
            Names of the channels.

    Raises
    ------
    TypeError
        If a number of instances, cells or time steps is not a whole number, `sizes` or `duration`
        hold anything else than whole numbers, or `noise` is not a number.
    ValueError
        If one of them is out of range, there are fewer instances than classes, a block does not fit
        in the row with its longest way, or no way of a block tells a class.

    See Also
    --------
    make_memory_task : Symbols shown at fixed times, to be recalled after a delay.
    RelayAnalyzer : Which nodes carry which concept, and when; takes ``task.concepts``.

    Notes
    -----
    It is the world of block catching, or active categorical perception [1]_ [2]_ [3]_ [4]_, without
    the agent: there a falling block of one size is to be caught and one of another size to be
    avoided, by an agent that moves below it; sensors with a gap between them make memory
    necessary, and size and direction of the block are the concepts whose representation is
    measured [4]_.

    Size, direction, place, onset and duration make a world. A label's worlds are equally likely.
    The block is wholly within the row all the time, so it enters from nowhere and shows all its
    cells but the blind ones. `known_from` compares all worlds: a concept is known as soon as all
    worlds that have looked the same so far agree on it. Before that the input may make one value
    more likely. Worlds that leave the answer open to the end, for instance hidden in the blind
    cells, are not drawn, and are no possibility for `known_from` either.

    If no world is left out for that, the average over time tells nothing about the direction: a
    block that moves left covers the same cells equally often as one that moves right. It tells
    something about the size, the less the wider the range of durations: 4 steps of a block of size
    2 look the same as 2 steps of a block of size 4.

    It is more difficult with sizes closer to each other, more blind cells, shorter durations, later
    onsets, a longer delay, and more noise.

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
    A block of size 4 moves left. Time runs down, and two blind cells are in the middle. The last
    cells of the row tell the direction at once, since nothing can move right there; a block of size
    2 would look the same until the next time step:

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
        raise ValueError(f"sizes={sizes!r}; expected {least} or more different sizes.")
    check_integer(n_sensors, name="n_sensors", low=1)
    check_integer(blind, name="blind", low=0)
    duration = check_integers(duration, name="duration", low=1 + ("direction" in names))
    if len(duration) != 2 or duration[0] > duration[1]:
        raise ValueError(f"duration={duration!r}; expected the fewest and the most time steps.")
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
    told = (_known_from(views, truth) < silence).all(axis=1)
    # who looks the same to the end goes together, so what is left is told by what is left
    known_from = np.full(truth.shape, silence)
    known_from[told] = _known_from(views[told], truth[told])

    rng = check_random_state(random_state)
    target = rng.permutation(np.arange(n_instances) % len(concepts))
    chosen = _draw_worlds(target, concepts, np.where(told[:, None], truth, -1), rng)
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
    """Return the concept table, every combination of values, the size first."""
    values = [n_sizes if name == "size" else 2 for name in names]
    concepts = np.stack(np.unravel_index(np.arange(np.prod(values)), values), axis=1)
    if n_instances < len(concepts):
        raise ValueError(
            f"n_instances={n_instances}; expected at least {len(concepts)}, one for each class."
        )
    return concepts


def _block_worlds(sizes, n_cells, duration, max_onset):
    """Return all that a block can do without leaving the row, one entry per world."""
    shortest, longest = duration
    if n_cells < max(sizes) + longest - 1:
        raise ValueError(
            f"n_sensors and blind make a row of {n_cells} cells; expected at least "
            f"{max(sizes) + longest - 1}, for a block of size {max(sizes)} to move for {longest} "
            "time steps."
        )
    shape = (len(sizes), 2, n_cells, max_onset + 1, longest - shortest + 1)
    if prod(shape) * (max_onset + longest) > _MOST_CELLS:
        raise ValueError(
            f"sizes, n_sensors, duration and max_onset make {prod(shape)} worlds of "
            f"{max_onset + longest} time steps; expected at most {_MOST_CELLS} in the product."
        )
    code, direction, position, onset, extra = (axis.ravel() for axis in np.indices(shape))
    size, way = np.array(sizes)[code], (extra + shortest - 1) * (2 * direction - 1)
    fits = (np.minimum(position, position + way) >= 0) & (
        np.maximum(position, position + way) + size <= n_cells
    )
    worlds = {"code": code, "size": size, "direction": direction, "position": position}
    worlds |= {"onset": onset, "duration": extra + shortest}
    return Bunch(**{name: values[fits] for name, values in worlds.items()})


def _block_views(worlds, sensors, n_cells, n_timepoints):
    """Return which frame each world shows at every time step, and the frames."""
    sizes, code = np.unique(worlds.size, return_inverse=True)
    first = np.arange(n_cells)[:, None]
    covered = [(sensors >= first) & (sensors < first + size) for size in sizes]
    frames = np.concatenate([np.zeros((1, len(sensors)), dtype=bool), *covered])
    frames, number = np.unique(frames, axis=0, return_inverse=True)
    age = np.arange(n_timepoints) - worlds.onset[:, None]
    there = (age >= 0) & (age < worlds.duration[:, None])
    cell = worlds.position[:, None] + age * (2 * worlds.direction[:, None] - 1)
    return number[np.where(there, 1 + code[:, None] * n_cells + cell, 0)], frames


def _draw_worlds(target, concepts, truth, rng):
    """Return a world of every instance, equally likely among those of its class."""
    chosen = np.empty(len(target), dtype=int)
    for label, row in enumerate(concepts):
        worlds = np.flatnonzero((truth == row).all(axis=1))
        if not len(worlds):
            raise ValueError(
                f"nothing a block can do tells class {label}, concepts {row.tolist()}, from the "
                "rest; expected a smaller blind, more n_sensors, or a longer duration."
            )
        chosen[target == label] = worlds[rng.randint(len(worlds), size=(target == label).sum())]
    return chosen


def _known_from(views, truth):
    """Return the first time step at which all worlds that have looked the same so far agree.

    It is the number of time steps where they never do.
    """
    known_from = np.full(truth.shape, views.shape[1])
    looks, n_frames = np.zeros(len(views), dtype=int), 1 + views.max(initial=0)
    for t, view in enumerate(views.T):
        looks = np.unique(looks * n_frames + view, return_inverse=True)[1]
        order = np.argsort(looks, kind="stable")
        starts = np.flatnonzero(np.diff(looks[order], prepend=-1))
        low, high = (ends.reduceat(truth[order], starts) for ends in (np.minimum, np.maximum))
        known_from = np.where((low == high)[looks], np.minimum(known_from, t), known_from)
    return known_from
