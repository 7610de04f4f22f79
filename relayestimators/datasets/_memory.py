"""The memory task: symbols are shown one by one and recalled together after a delay."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._docs import fill_docs
from .._validation import check_integer, check_nonnegative

_SILENCE = -1  # code of time steps without a symbol; symbols have the codes 0, 1, ...


@fill_docs
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
    r"""Generate a memory task, in which bits are shown one by one and recalled after a delay.

    The bits, or symbols of a larger alphabet, are shown one after the other. Then the input is
    silent, and at the last time step a cue asks for all symbols at once. No node of a network can
    know a symbol before it is shown. From then until the cue, the network has to remember it.

    Parameters
    ----------
    n_instances : int, default=1000
        Number of series, at least one for each of the ``n_symbols ** n_bits`` classes.
    n_bits : int, default=3
        Number of symbols that are shown, at least 1. They are bits if `n_symbols` is 2.
    n_symbols : int, default=2
        Size of the alphabet, at least 2.
    delay : int, default=8
        Number of silent time steps between the last symbol and the cue.
    gap : int, default=0
        Number of silent time steps between one symbol and the next.
    presentation : int, default=1
        Number of time steps for which each symbol is shown, at least 1.
    noise : float, default=0.2
        Standard deviation of Gaussian noise on all channels except the cue, independent at every
        time step. A bit is shown as -1 or 1.
    n_distractors : int, default=0
        Number of irrelevant inputs, which have their own channels. Each shows a new random symbol
        at every time step, also during the delay and the cue.
    %(random_state)s labels, noise and distractors

    Returns
    -------
    task : :class:`~sklearn.utils.Bunch`
        data : ndarray of shape (n_instances, n_channels, n_timepoints), float32
            The panel: the channels of the symbols, the cue, and the channels of the distractors.
        target : ndarray of shape (n_instances,), int
            Labels from 0 to n_classes - 1, shuffled. The sizes of the classes differ by at most 1.
        concepts : ndarray of shape (n_classes, n_bits), int
            Concept table. Row k has the digits of k in base `n_symbols`; column i is the i-th
            symbol shown. ``concepts[target]`` has the symbols of every instance.
        presented : ndarray of shape (n_bits, 2), int
            Window [start, stop) of time steps at which each symbol is shown. The hidden state at
            the first of them is the earliest that can know the symbol.
        delay : tuple of two int
            Window [start, stop) of time steps of the delay.
        recall : int
            Time step of the cue, which is the last one of the panel.
        channel_names : list of str
            Names of the channels.

    Raises
    ------
    TypeError
        If a number of instances, symbols, time steps or distractors is not an integer, or `noise`
        is not a number.
    ValueError
        If one of them is out of range, or there are fewer instances than classes.

    See Also
    --------
    RelayAnalyzer : Finds the nodes that carry each bit; takes ``task.concepts``.
    make_block_task : Task in which the concepts have to be inferred from a movement.
    compose_networks : Networks with known relays.

    Notes
    -----
    This is a delayed recall task like the copy task [1]_ [2]_, but with one answer for the whole
    sequence, as relay information requires [3]_.

    Bits are shown as -1 and 1 on one channel, where silence is 0. If there are more than two
    symbols, each has its own channel with 1 if it is shown and 0 otherwise, so that all symbols are
    equally far apart and none looks like silence. The cue is 1 at the last time step on its own
    channel.

    Without noise and distractors, all series of a class are the same, and held-out series are
    copies of the training series. With noise, no classifier can recall a larger fraction of the
    bits than

    .. math:: \Phi(\sqrt{\mathrm{presentation}} / \mathrm{noise})

    where :math:`\Phi` is the normal distribution function: nearly all bits at the default, 0.994 at
    a noise of 0.4. A few errors are useful in an analysis: if a network makes no errors, no
    statistic can distinguish nodes that drive the output from nodes that know the same but do not.

    Distractors have their own channels, so that the other channels stay silent: what a node knows
    about a symbol during the delay has been remembered by the network. They carry no information
    about the label, but change the hidden states at every time step.

    With the same int as `random_state`, the timing does not change the labels, and `noise` and
    `n_distractors` change nothing else that is drawn.

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
    # Small integer types of numpy would overflow below.
    n_instances, n_bits, n_symbols = map(int, (n_instances, n_bits, n_symbols))
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
    # Drawn one by one, so that an additional distractor does not change those before it.
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
    """Return the digits of every class; there must be an instance for each of them."""
    # The lengths in bits are compared first, because n_symbols ** n_bits may be too large a number.
    if n_bits >= n_instances.bit_length() or n_symbols**n_bits > n_instances:
        raise ValueError(
            f"n_instances={n_instances}; expected at least n_symbols ** n_bits = {n_symbols} ** "
            f"{n_bits}, one for each class."
        )
    places = n_symbols ** np.arange(n_bits)[::-1]
    return np.arange(n_symbols**n_bits)[:, None] // places % n_symbols


def _channels(shown, n_symbols, noise, rng):
    """Return the symbols shown at every time step as channels with noise."""
    codes = np.eye(n_symbols + 1, n_symbols) if n_symbols > 2 else np.array([[-1.0], [1.0], [0.0]])
    channels = codes[shown].transpose(0, 2, 1)  # the last code is that of _SILENCE
    return channels + noise * rng.standard_normal(channels.shape)
