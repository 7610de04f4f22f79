"""Information against hand-computed tables, identities, and a reference implementation."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from relayestimators.relay._counting import refine
from relayestimators.relay._information import (
    conditional_mutual_information,
    entropy,
    joint_codes,
    mutual_information,
)
from relayestimators.relay._removal import occupied_cells


def reference_cmi(a, b, given):
    """Return I(A;B|Z) in bits by definition: sum p(a,b,z) log p(a,b|z) / (p(a|z) p(b|z))."""
    z = [tuple(row) for row in np.asarray(given).reshape(len(a), -1)]
    of_z, of_az, of_bz = Counter(z), Counter(zip(a, z)), Counter(zip(b, z))
    return math.fsum(
        count / len(a) * math.log2(count * of_z[k] / (of_az[i, k] * of_bz[j, k]))
        for (i, j, k), count in Counter(zip(a, b, z)).items()
    )


BIT, OTHER = [0, 0, 1, 1], [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("a", "b", "given", "bits"),
    [
        (BIT, BIT, [0, 0, 0, 0], 1.0),  # a copy
        (BIT, OTHER, [0, 0, 0, 0], 0.0),  # independent
        (BIT, BIT, BIT, 0.0),  # nothing is left once the bit is known
        (BIT, BIT, OTHER, 1.0),  # an unrelated condition changes nothing
        (BIT, OTHER, [0, 1, 1, 0], 1.0),  # XOR: given the sum, each bit determines the other
        (BIT, [1, 1, 0, 0], [0, 0, 0, 0], 1.0),  # the values of a code do not matter
        ([7, 7, 7, 7], BIT, OTHER, 0.0),  # a constant has no information
        ([0, 1, 2, 3], [0, 1, 2, 3], [0, 0, 0, 0], 2.0),
        ([0, 1, 2, 3], BIT, [0, 0, 0, 0], 1.0),
        ([0, 0, 0, 1], [0, 0, 0, 1], [0] * 4, 2 - 0.75 * math.log2(3)),
        (BIT, BIT, [0, 1, 2, 3], 0.0),  # cells with one instance give 0
    ],
)
def test_hand_computed_table(a, b, given, bits):
    assert conditional_mutual_information(a, b, given) == pytest.approx(bits, abs=1e-12)
    assert reference_cmi(a, b, given) == pytest.approx(bits, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_definition_and_identities(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 5, 200), rng.integers(0, 3, 200)
    z = rng.integers(0, 2, (200, 4))
    value = conditional_mutual_information(a, b, z)
    assert value == pytest.approx(reference_cmi(a, b, z), abs=1e-10)
    assert value == pytest.approx(conditional_mutual_information(b, a, z), abs=1e-12)
    chain = mutual_information(a, np.c_[b, z]) - mutual_information(a, z)
    assert value == pytest.approx(chain, abs=1e-12)
    assert mutual_information(a, a) == pytest.approx(entropy(a), abs=1e-12)
    assert entropy(a, b) <= entropy(a) + entropy(b) + 1e-12


def test_joint_codes_have_no_gaps_and_separate_rows():
    rng = np.random.default_rng(0)
    table = rng.integers(0, 3, (100, 4))
    codes = joint_codes(table[:, :2], table[:, 2:])
    assert set(codes) == set(range(codes.max() + 1))
    assert len(set(codes)) == len({tuple(row) for row in table})
    assert joint_codes(np.empty((5, 0))).tolist() == [0] * 5


@pytest.mark.parametrize("n_levels", [2, 3, 7])
def test_refined_cells_are_joint_values(n_levels):
    rng = np.random.default_rng(n_levels)
    states = rng.integers(0, n_levels, (80, 5)).astype(np.uint8)
    cells, n_cells = np.zeros(80, np.int32), 1
    for node in range(5):
        cells, n_cells = refine(cells, n_cells, states[:, node], n_levels)
        expected = joint_codes(states[:, : node + 1])
        assert n_cells == expected.max() + 1
        assert len(set(zip(cells, expected))) == n_cells
    counts = occupied_cells(states, n_levels, np.arange(5))
    assert counts.tolist() == [joint_codes(states[:, :k]).max() + 1 for k in range(6)]


def test_reference_implementation_by_hand():
    """The reference implementation itself, where Z is a random bit and B = A xor Z."""
    a, z = zip(*itertools.product([0, 1], [0, 1]), strict=True)
    b = [i ^ k for i, k in zip(a, z, strict=True)]
    assert reference_cmi(a, b, [0] * 4) == pytest.approx(0.0)
    assert reference_cmi(a, b, z) == pytest.approx(1.0)
