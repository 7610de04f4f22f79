"""Discretization: thresholds of each strategy, series of unequal length, and errors."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import mutual_info_score

from relayestimators import StateDiscretizer
from relayestimators._validation import STRATEGIES


def hidden_states(n=50, n_timepoints=3, n_nodes=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, n_timepoints, n_nodes)).astype("float32")


def test_two_quantile_states_are_the_median_split():
    hidden = hidden_states()
    discretizer = StateDiscretizer(2, strategy="quantile").fit(hidden)
    np.testing.assert_allclose(discretizer.thresholds_[..., 0], np.median(hidden, axis=0))
    np.testing.assert_array_equal(discretizer.transform(hidden).mean(axis=0), 0.5)


def test_by_default_states_are_quartiles_or_signs():
    hidden = hidden_states(100)
    quartiles = np.moveaxis(np.quantile(hidden, [0.25, 0.5, 0.75], axis=0), 0, -1)
    np.testing.assert_allclose(StateDiscretizer().fit(hidden).thresholds_, quartiles)
    assert StateDiscretizer(strategy="sign").fit(hidden).thresholds_.shape == (3, 4, 1)


def test_quantile_states_are_equally_filled():
    states = StateDiscretizer(5, strategy="quantile").fit_transform(hidden_states(100))
    for t in range(3):
        for node in range(4):
            np.testing.assert_array_equal(np.bincount(states[:, t, node]), [20] * 5)


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.51, 0.8])
def test_saturated_nodes_keep_their_two_states(fraction):
    hidden = np.where(np.arange(100) < 100 * fraction, 1.0, -1.0).astype("float32")[:, None, None]
    states = StateDiscretizer(2).fit_transform(hidden)
    np.testing.assert_array_equal(states, hidden > 0)
    three = StateDiscretizer(3).fit_transform(hidden)
    assert len(np.unique(three)) == 2


def bits_kept(hidden, bit, **options):
    """Return the fraction of the information about a bit that the states of one node have."""
    states = StateDiscretizer(**options).fit_transform(hidden[:, None, None]).ravel()
    return mutual_info_score(bit, states) / mutual_info_score(bit, bit)


@pytest.mark.parametrize("noise", [0.001, 0.05, 0.15])
@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.4, 0.5, 0.6, 0.9])
def test_clusters_are_not_cut_apart(fraction, noise):
    rng = np.random.default_rng(0)
    bit = rng.permutation(1000) < 1000 * fraction
    hidden = np.where(bit, 0.9, -0.9) + noise * rng.normal(size=1000)
    assert bits_kept(hidden, bit) > 0.99
    assert bits_kept(hidden, bit, n_states=2) > 0.99


def test_quartiles_keep_half_of_a_class_of_ten():
    rng = np.random.default_rng(0)
    bit = rng.permutation(1000) < 100
    hidden = np.where(bit, 0.9, -0.9) + 0.05 * rng.normal(size=1000)
    assert bits_kept(hidden, bit, strategy="quantile") == pytest.approx(0.5, abs=0.05)


def test_a_silent_or_saturated_end_is_a_state_of_its_own():
    rng = np.random.default_rng(0)
    active = rng.random(600) < 0.6
    middle = np.where(rng.random(600) < 0.4, 0.2, 0.8) + 0.01 * rng.normal(size=600)
    for end in (0.0, 1.0):
        hidden = np.where(active, middle, end)
        states = StateDiscretizer().fit_transform(hidden[:, None, None]).ravel()
        assert len(np.unique(states[~active])) == 1
        assert not np.isin(states[active], states[~active]).any()
        assert bits_kept(hidden, active * (1 + (middle > 0.5))) == pytest.approx(1.0)


@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("draw", ["normal", "exponential", "standard_t"])
def test_without_clusters_states_are_quantiles(draw, n):
    rng = np.random.default_rng(0)
    hidden = {
        "normal": lambda: rng.normal(size=n),
        "exponential": lambda: rng.exponential(size=n),
        "standard_t": lambda: rng.standard_t(3, n),
    }[draw]()[:, None, None]
    for n_states in (2, 4):
        found = StateDiscretizer(n_states).fit_transform(hidden)
        quantiles = StateDiscretizer(n_states, strategy="quantile").fit_transform(hidden)
        np.testing.assert_array_equal(found, quantiles)


def test_kmeans_equals_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    hidden = rng.gamma(2.0, size=(300, 2, 3))
    discretizer = StateDiscretizer(3, strategy="kmeans").fit(hidden)
    for t, node in np.ndindex(2, 3):
        values = np.sort(hidden[:, t, node])[:, None]
        kmeans = KMeans(3, init=values[[50, 150, 250]], n_init=1, tol=0).fit(values)
        centers = np.sort(kmeans.cluster_centers_.ravel())
        cuts = (centers[1:] + centers[:-1]) / 2
        np.testing.assert_allclose(discretizer.thresholds_[t, node], cuts)


@pytest.mark.parametrize("strategy", ["auto", "kmeans"])
def test_neighboring_numbers_are_told_apart(strategy):
    hidden = np.where(np.arange(100) < 20, 1.0, np.nextafter(1.0, 2.0))[:, None, None]
    states = StateDiscretizer(strategy=strategy).fit_transform(hidden).ravel()
    np.testing.assert_array_equal(states, np.arange(100) >= 20)


def test_kmeans_finds_clusters():
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat([0, 1, 2], [10, 40, 25]))
    hidden = (np.array([-1.0, 0.1, 0.8])[truth] + rng.normal(0, 0.03, 75))[:, None, None]
    states = StateDiscretizer(3, strategy="kmeans").fit_transform(hidden)
    np.testing.assert_array_equal(states.ravel(), truth)


def test_kmeans_with_fewer_values_than_states():
    hidden = np.array([0.0, 0.0, 1.0])[:, None, None]
    states = StateDiscretizer(4, strategy="kmeans").fit_transform(hidden)
    assert states.ravel().tolist() == [0, 0, 1]


def test_sign_cuts_at_zero():
    hidden = hidden_states()
    states = StateDiscretizer(strategy="sign").fit_transform(hidden)
    np.testing.assert_array_equal(states, hidden > 0)


def test_thresholds_shared_by_all_time_steps():
    hidden = hidden_states()
    discretizer = StateDiscretizer(2, per_timepoint=False).fit(hidden)
    assert discretizer.thresholds_.shape == (1, 4, 1)
    pooled = np.median(hidden.reshape(-1, 4), axis=0)
    np.testing.assert_array_equal(discretizer.transform(hidden), hidden > pooled)
    longer = np.concatenate([hidden, hidden], axis=1)
    assert discretizer.transform(longer).shape == (50, 6, 4)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_padding_has_no_state_and_does_not_affect_thresholds(strategy):
    hidden = hidden_states()
    hidden[20:, 2] = np.nan
    discretizer = StateDiscretizer(strategy=strategy).fit(hidden)
    short = StateDiscretizer(strategy=strategy).fit(hidden[:20])
    np.testing.assert_allclose(discretizer.thresholds_[2], short.thresholds_[2])
    states = discretizer.transform(hidden)
    assert states.dtype == np.uint8
    assert (states[20:, 2] == 255).all()
    assert states[:20].max() == (1 if strategy == "sign" else 3)


def test_time_steps_that_no_series_has():
    hidden = hidden_states()
    hidden[:, 2] = np.nan
    discretizer = StateDiscretizer().fit(hidden)
    assert (discretizer.transform(hidden)[:, 2] == 255).all()
    assert (discretizer.transform(hidden_states())[:, 2] == 255).all()


def test_constant_node_has_one_state():
    hidden = np.ones((9, 1, 1))
    for strategy in STRATEGIES:
        assert len(np.unique(StateDiscretizer(strategy=strategy).fit_transform(hidden))) == 1


def test_transform_uses_the_thresholds_of_fit():
    hidden = hidden_states()
    discretizer = StateDiscretizer().fit(hidden)
    np.testing.assert_array_equal(discretizer.transform(hidden + 100), 3)


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"n_states": 1}, ValueError, "n_states=1; expected an integer from 2 to 254"),
        ({"n_states": 2.0}, TypeError, "n_states=2.0"),
        (
            {"strategy": "median"},
            ValueError,
            "strategy='median'; expected one of 'auto', 'quantile'",
        ),
        ({"strategy": "sign", "n_states": 3}, ValueError, "n_states=3; expected 2, .*'sign'"),
    ],
)
def test_bad_parameters(parameters, error, match):
    with pytest.raises(error, match=match):
        StateDiscretizer(**parameters).fit(hidden_states())


def test_bad_trajectories():
    hidden = hidden_states()
    discretizer = StateDiscretizer().fit(hidden)
    with pytest.raises(ValueError, match=r"hidden has shape \(50, 3\)"):
        discretizer.fit(hidden[:, :, 0])
    with pytest.raises(ValueError, match="hidden has 3 nodes; expected 4"):
        discretizer.transform(hidden[:, :, :3])
    with pytest.raises(ValueError, match="hidden has 6 time steps; expected at most 3"):
        discretizer.transform(np.concatenate([hidden, hidden], axis=1))
    hidden[4, 1, 2] = np.inf
    with pytest.raises(ValueError, match="infinite at instance 4, time step 1, node 2"):
        discretizer.fit(hidden)
