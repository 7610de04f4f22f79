"""The memory task: symbols shown at fixed times, to be recalled after a delay."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._validation import check_integer, check_nonnegative

_SILENCE = -1  # where symbols are 0, 1, ...


def make_memory_task(
    n_instances=1000,
    *,
    n_bits=3,
    n_symbols=2,
    delay=8,
    gap=0,
    presentation=1,
    noise=0.2,
    n_distractors=0,
    random_state=None,
):
    """Make a memory task: bits shown one by one, to be reported all together after a delay.

    The bits, or symbols of a larger alphabet, are shown one after the other. Then the input is
    silent, and at the last time step a cue asks for all of them at once. No node of a network can
    know a symbol before it is shown, and from then to the cue the network has to hold it
    somewhere.

    Parameters
    ----------
    n_instances : int, default=1000
        Number of series, at least one for each of the ``n_symbols ** n_bits`` classes.
    n_bits : int, default=3
        How many symbols are shown, at least 1. They are bits if `n_symbols` is 2.
    n_symbols : int, default=2
        Size of the alphabet, at least 2.
    delay : int, default=8
        Silent time steps between the last symbol and the cue.
    gap : int, default=0
        Silent time steps between one symbol and the next.
    presentation : int, default=1
        Time steps for which each symbol is shown, at least 1.
    noise : float, default=0.2
        Standard deviation of Gaussian noise on all channels but the cue, independent at every
        time step. A bit is -1 or 1.
    n_distractors : int, default=0
        Irrelevant inputs on channels of their own. Each shows a new random symbol at every time
        step, the delay and the cue included.
    random_state : int, RandomState instance or None, default=None
        Draws labels, noise and distractors. With the same int, timing does not change the labels,
        and `noise` and `n_distractors` change nothing else that is drawn.

    Returns
    -------
    task : :class:`~sklearn.utils.Bunch`
        data : ndarray of shape (n_instances, n_channels, n_timepoints), float32
            The panel: the channels of the symbols, the cue, then those of the distractors.
        target : ndarray of shape (n_instances,), int
            Labels 0 to n_classes - 1, shuffled; the sizes of the classes differ by 1 at most.
        concepts : ndarray of shape (n_classes, n_bits), int
            Concept table. Row k has the digits of k in base `n_symbols`, column i is the symbol
            shown i-th; ``concepts[target]`` are the symbols of every instance.
        presented : ndarray of shape (n_bits, 2), int
            First time step at which each symbol is shown, and one after the last. The hidden state
            of the first is the earliest that can know the symbol.
        delay : tuple of two int
            First time step of the delay, and one after the last.
        recall : int
            Time step of the cue, the last one of the panel.
        channel_names : list of str
            Names of the channels.

    Raises
    ------
    TypeError
        If a number of instances, symbols, time steps or distractors is not a whole number, or
        `noise` is not a number.
    ValueError
        If one of them is out of range, or there are fewer instances than classes.

    See Also
    --------
    RelayAnalyzer : Which nodes carry which bit, and when; takes ``task.concepts``.
    compose_networks : Networks whose true relays are known.

    Notes
    -----
    It is a task of delayed recall, as the copy task is [1]_ [2]_, but with one answer for the whole
    sequence, as relay information needs it [3]_.

    Bits are -1 and 1 on one channel, and silence is 0. More symbols have a channel each, 1 for the
    symbol shown and 0 for the others, so that all are equally far apart and none looks like
    silence. The cue is 1 at the last time step on a channel of its own.

    Without noise and distractors all series of a class are the same, and held-out series are copies
    of the training series. With noise no classifier gets more of the bits right than
    ``scipy.stats.norm.cdf(presentation**0.5 / noise)``: nearly all at the default, .994 at 0.4. A
    few errors are welcome in an analysis: in a network that makes none, no statistic can tell nodes
    that are heard from nodes that know the same and are not.

    Distractors have channels of their own so that the silence of the others stays: what a node
    knows of a symbol in the delay, the network has held. They say nothing about the label, but stir
    the states at every time step.

    References
    ----------
    .. [1] S. Hochreiter, J. Schmidhuber (1997). Long short-term memory. Neural Computation 9(8),
       1735-1780.
    .. [2] M. Arjovsky, A. Shah, Y. Bengio (2016). Unitary evolution recurrent neural networks.
       ICML. arXiv:1511.06464.
    .. [3] A. Hintze, A. Najam, J. Schossau (2025). arXiv:2510.01271.

    Examples
    --------
    >>> from relayestimators.datasets import make_memory_task
    >>> task = make_memory_task(400, n_bits=3, delay=2, noise=0, random_state=0)
    >>> task.data.shape, task.channel_names
    ((400, 2, 6), ['value', 'cue'])
    >>> task.data[0]
    array([[ 1., -1., -1.,  0.,  0.,  0.],
           [ 0.,  0.,  0.,  0.,  0.,  1.]], dtype=float32)
    >>> int(task.target[0]), task.concepts[task.target[0]]
    (4, array([1, 0, 0]))
    >>> task.presented.tolist(), task.delay, task.recall
    ([[0, 1], [1, 2], [2, 3]], (3, 5), 5)
    """
    check_integer(n_instances, name="n_instances", low=1)
    check_integer(n_bits, name="n_bits", low=1)
    check_integer(n_symbols, name="n_symbols", low=2)
    check_integer(delay, name="delay", low=0)
    check_integer(gap, name="gap", low=0)
    check_integer(presentation, name="presentation", low=1)
    check_integer(n_distractors, name="n_distractors", low=0)
    check_nonnegative(noise, name="noise")
    n_instances, n_bits, n_symbols = map(int, (n_instances, n_bits, n_symbols))  # not numpy's int8
    delay, gap, presentation = map(int, (delay, gap, presentation))
    concepts = _digits(n_instances, n_bits, n_symbols)
    presented = np.arange(n_bits)[:, None] * (presentation + gap) + [0, presentation]
    silence = int(presented[-1, 1])
    recall = silence + delay

    rng = check_random_state(random_state)
    target = rng.permutation(np.arange(n_instances) % len(concepts))
    shown = np.full((n_instances, recall + 1), _SILENCE)
    for symbols, (start, stop) in zip(concepts[target].T, presented, strict=True):
        shown[:, start:stop] = symbols[:, None]
    value = _channels(shown, n_symbols, noise, rng)
    cue = np.zeros((n_instances, 1, recall + 1))
    cue[:, :, recall] = 1
    # drawn one after the other, so that another distractor changes nothing before it
    distractors = [
        _channels(rng.randint(n_symbols, size=shown.shape), n_symbols, noise, rng)
        for _ in range(n_distractors)
    ]
    names = ["value", *(f"distractor{i}" for i in range(n_distractors))]
    if n_symbols > 2:
        names = [f"{name}_{symbol}" for name in names for symbol in range(n_symbols)]
    names.insert(value.shape[1], "cue")
    return Bunch(
        data=np.concatenate([value, cue, *distractors], axis=1, dtype=np.float32),
        target=target,
        concepts=concepts,
        presented=presented,
        delay=(silence, recall),
        recall=recall,
        channel_names=names,
    )


def _digits(n_instances, n_bits, n_symbols):
    """Return the digits of every class, or say that there are not enough instances for them."""
    # 2 ** n_bits is compared by its length first: a typing error must not fill the memory
    if n_bits >= n_instances.bit_length() or n_symbols**n_bits > n_instances:
        raise ValueError(
            f"n_instances={n_instances}; expected at least n_symbols ** n_bits = {n_symbols} ** "
            f"{n_bits}, one for each class."
        )
    places = n_symbols ** np.arange(n_bits)[::-1]
    return np.arange(n_symbols**n_bits)[:, None] // places % n_symbols


def _channels(shown, n_symbols, noise, rng):
    """Return what is shown at every time step as channels with noise."""
    codes = np.eye(n_symbols + 1, n_symbols) if n_symbols > 2 else np.array([[-1.0], [1.0], [0.0]])
    channels = codes[shown].transpose(0, 2, 1)  # the last code is that of _SILENCE
    return channels + noise * rng.standard_normal(channels.shape)
