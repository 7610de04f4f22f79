"""The map by interchange: networks with known nodes, statistics, fall-backs, bad arguments."""

import warnings

import numpy as np
import pytest
import torch
from conftest import cut_short, make_panel
from known_nets import (
    attractor_net,
    exclusive_or_net,
    hand_made_net,
    latches,
    repeated_net,
    two_bit_net,
)
from scipy.special import logsumexp
from sklearn.frozen import FrozenEstimator

from relayestimators import GRUClassifier, LSTMClassifier, RelayAnalyzer
from relayestimators._attribution import Pairs, draw_pairs, interchange_map, log_odds
from relayestimators._exchange import Layer
from relayestimators.displays import RelayMapDisplay
from relayestimators.inspection import combine_rankings, compare_rankings, rank_nodes
from relayestimators.networks import Clamp
from relayestimators.relay import RelayMapWarning
from relayestimators.relay._transfer import mean_over_pairs


def analyze(net, X, y, **options):
    options = {"method": "interchange", "n_pairs": 800, "random_state": 0} | options
    return RelayAnalyzer(FrozenEstimator(net), **options).fit(X, y)


CREDITS = pytest.mark.parametrize("credit", ["gradients", "permutations"])


# ---------------------------------------------------------------- networks with known nodes


@CREDITS
def test_the_bit_moves_from_node_to_node(credit):
    net, X, y = hand_made_net()
    relays = analyze(net, X, y, credit=credit)
    np.testing.assert_array_equal(relays.relay_map_ != 0, [np.eye(4, 8, dtype=bool)] * 2)
    errors = relays.relay_map_error_.max(axis=2)
    assert (np.abs(relays.relay_map_.sum(axis=2) - relays.total_) < 4 * errors + 1e-6).all()
    assert relays.total_.min() > 20
    assert np.abs(relays.total_same_).max() < 1e-3
    assert relays.reliable_.all()
    assert relays.credit_.tolist() == [credit] * 4
    for t in range(4):
        assert relays.relays(concept=0, timepoint=t)[0] == t


@CREDITS
def test_copies_share_equally_what_they_carry_together(credit):
    net, X, y = two_bit_net(n_instances=600)
    relays = analyze(net, X, y, concepts=np.array([[0, 0], [1, 0], [0, 1], [1, 1]]), credit=credit)
    of_bit_0, of_bit_1 = relays.relay_map_
    np.testing.assert_allclose(of_bit_0[:, 0], of_bit_0[:, 1], rtol=0.2)
    np.testing.assert_allclose(of_bit_0[:, :2].sum(axis=1), relays.total_[0], rtol=0.3)
    np.testing.assert_allclose(of_bit_1[:, 2], relays.total_[1], rtol=0.3)
    assert np.abs(of_bit_0[:, 2]).max() < 0.1 * of_bit_0[:, 0].min()  # bits are independent
    assert (relays.relay_map_[:, :, 3:] == 0).all()


@CREDITS
def test_nodes_that_only_know_have_nothing(credit):
    net, X, y = latches()
    relays = analyze(net, X, y, credit=credit)
    assert (relays.relay_map_[:, :, 3:] == 0).all()
    assert relays.relay_map_[:, :, :3].min() > 3
    net, X, y = repeated_net()
    relays = analyze(net, X, y, credit=credit)
    assert np.abs(relays.relay_map_[:, :4]).max() < 1e-6
    assert not relays.reliable_[:, :4].any()
    assert relays.reliable_[:, 4].all()


@CREDITS
def test_codes_of_two_nodes_are_credited(credit):
    net, X, y = exclusive_or_net()
    relays = analyze(net, X, y, credit=credit)
    assert relays.relay_map_[:, :4, :2].min() > 5
    assert (relays.relay_map_[:, :4, 2:] == 0).all()
    assert relays.relay_map_[:, 4, 2:4].min() > 5
    assert np.abs(relays.relay_map_[:, 4, :2]).max() < 1e-6


def test_half_of_a_code_is_not_taken_for_the_concept():
    """The second bit comes at the end, so that until then a source of either class is as good."""
    net, X, y = exclusive_or_net()
    X[:, 1, 3], X[:, 1, 0] = X[:, 1, 0], 0
    assert net.score(X, y) == 1.0
    relays = analyze(net, X, y)
    assert np.abs(relays.carried_[:, :3]).max() < 0.05
    assert (np.abs(relays.total_same_[:, :3]) > 0.5 * np.abs(relays.total_[:, :3])).all()
    assert relays.total_same_[:, :3].min() > 5
    assert not relays.reliable_[:, :3].any()
    assert relays.reliable_[:, 3:].all()
    relays = analyze(net, X, y, carried=False)
    assert not relays.reliable_[:, :3].any()
    assert "6 of 10 concepts and time steps the map by interchange is not reliable" in repr(relays)


def test_permutations_replace_gradients_that_die_in_an_attractor():
    net, X, y = attractor_net()
    relays = analyze(net, X, y, timepoints=[0, 24], credit="gradients")
    assert np.abs(relays.relay_map_[:, 0]).max() < 1
    assert np.abs(relays.gap_[:, 0]).min() > 10
    assert not relays.reliable_[:, 0].any()
    relays = analyze(net, X, y, timepoints=[0, 24])
    assert relays.credit_.tolist() == ["permutations", "gradients"]
    np.testing.assert_allclose(relays.relay_map_[:, :, 0], relays.total_, rtol=1e-3)
    np.testing.assert_allclose(relays.gap_[:, 0], 0.0, atol=1e-3)
    assert relays.reliable_.all()


def test_gaps_do_not_matter_where_nothing_is_carried():
    net, X, y = attractor_net()
    truth, coded = (y[:, None] == net.classes_).astype(int), np.eye(2, dtype=int)
    layer = Layer(net, X, net.hidden_states(X), np.zeros((len(X), 1), dtype=int), -1, "h")
    for bits, used in ((1.0, "permutations"), (0.0, "gradients")):
        carried = np.full((2, 1), bits)
        found = interchange_map(
            layer, truth, coded, carried, 0.1 + 0 * carried, n_pairs=100, credit="auto", seed=0
        )
        assert found.credit.tolist() == [used]
        assert found.reliable.all() == (bits > 0)


# ---------------------------------------------------------------- trained networks


@pytest.fixture(scope="module")
def trained():
    X, y = make_panel(n_instances=240)
    X = cut_short(X, 6 + np.arange(len(X)) % 5)
    options = {"max_epochs": 30, "lr": 0.03, "module__hidden_size": 6, "random_state": 0}
    return LSTMClassifier(module__num_layers=2, **options).fit(X, y), X, y


@pytest.mark.parametrize(
    "where", [{"layer": 0, "state": "c"}, {"layer": 0}, {"layer": 1}, {"align": "end"}]
)
def test_gradients_and_permutations_agree(trained, where):
    net, X, y = trained
    options = {"timepoints": [4, 8], "n_pairs": 4000} | where
    gradients, permutations = (
        analyze(net, X, y, credit=credit, **options) for credit in ("gradients", "permutations")
    )
    np.testing.assert_allclose(permutations.gap_, 0.0, atol=1e-4)
    error = np.hypot(gradients.relay_map_error_, permutations.relay_map_error_)
    away = (gradients.relay_map_ - permutations.relay_map_) / error
    assert np.abs(away).mean() < 1.2  # 0.8 for normal deviates of variance 1
    for relays in (gradients, permutations):
        gap = relays.total_ - relays.relay_map_.sum(axis=2)
        np.testing.assert_allclose(relays.gap_, gap, atol=1e-6)


def test_workers_and_seeds(trained):
    net, X, y = trained
    options = {"timepoints": range(6), "n_pairs": 100}
    relays = analyze(net, X, y, **options)
    for name in ("relay_map_", "relay_map_error_", "total_", "total_same_", "gap_", "carried_"):
        same = analyze(net, X, y, n_jobs=2, **options)
        np.testing.assert_array_equal(getattr(same, name), getattr(relays, name))
    other = analyze(net, X, y, **(options | {"random_state": 1}))
    assert (other.relay_map_ != relays.relay_map_).any()


def test_a_map_is_replaced_by_the_next_fit(trained):
    net, X, y = trained
    relays = analyze(net, X, y, timepoints=[4], n_pairs=50)
    assert relays.discretizer_ is None
    assert np.isnan(relays.coverage_).all()
    assert "bits of log-odds, which are no bits of information" in repr(relays)
    relays.set_params(method="single").fit(X, y)
    for name in ("total_", "total_same_", "gap_", "credit_", "relay_map_error_"):
        assert not hasattr(relays, name)
    assert "log-odds" not in repr(relays)


# ---------------------------------------------------------------- other modules


class Silent(torch.nn.Module):
    """A module around one of ours that can be run and clamped, and has no gradients."""

    def __init__(self, module):
        super().__init__()
        self.inner = module

    def forward(self, X):
        return self.inner(X)

    def unroll(self, X, **options):
        return self.inner.unroll(X, **options)


class Editable(Silent):
    """The same with gradients."""

    def forward_with(self, X, edit, *, layer=-1):
        return self.inner.forward_with(X, edit, layer=layer)


class Probable(Editable):
    """The same with probabilities as output."""

    def forward(self, X):
        return self.inner(X).softmax(dim=1)

    def unroll(self, X, **options):
        run = self.inner.unroll(X, **options)
        return run._replace(output=run.output.softmax(dim=1))

    def forward_with(self, X, edit, *, layer=-1):
        return self.inner.forward_with(X, edit, layer=layer).softmax(dim=1)


def of_module(kind, net):
    """Return the fitted network with its module inside another one."""
    other = GRUClassifier(max_epochs=1, random_state=0)
    vars(other).update(vars(net))
    other.module_ = kind(net.module_)
    return other


@pytest.mark.parametrize(
    ("kind", "credit"),
    [(Silent, "permutations"), (Editable, "gradients"), (Probable, "gradients")],
)
def test_modules_of_ones_own(kind, credit):
    X, y = make_panel(n_instances=120)
    net = GRUClassifier(max_epochs=30, lr=0.03, module__hidden_size=5, random_state=0).fit(X, y)
    expected = analyze(net, X, y, timepoints=[5], credit=credit)
    other = of_module(kind, net)
    if kind is Probable:
        other.predict_nonlinearity = None
    found = analyze(other, X, y, timepoints=[5])
    assert found.credit_.tolist() == [credit]
    np.testing.assert_allclose(found.relay_map_, expected.relay_map_, atol=1e-3)
    np.testing.assert_allclose(found.total_, expected.total_, atol=1e-3)
    if kind is Silent:
        with pytest.raises(TypeError, match="credit='gradients' needs a RecurrentNetwork"):
            analyze(other, X, y, timepoints=[5], credit="gradients")


# ---------------------------------------------------------------- statistics


def test_all_pairs_that_differ_are_equally_likely():
    values = np.array([0, 0, 0, 1, 1, 2, 5])
    present = np.array([0, 1, 3, 4, 5])
    rng = np.random.default_rng(0)
    for differ in (True, False):
        base, source = draw_pairs(values, present, 20_000, rng, differ=differ)
        assert ((values[base] != values[source]) == differ).all()
        assert (base != source).all()
        counts = np.unique(7 * base + source, return_counts=True)[1]
        assert len(counts) == (16 if differ else 4)
        assert np.abs(counts / 20_000 * len(counts) - 1).max() < 0.15
    assert draw_pairs(values, np.array([0, 1]), 5, rng, differ=True).shape == (2, 0)
    assert draw_pairs(values, np.array([0, 3]), 5, rng, differ=False).shape == (2, 0)


def test_log_odds_are_those_of_concept_values():
    coded, proba = np.array([[0], [0], [1], [2]]), torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    truth = np.array([[0], [1], [0]])
    other = Pairs(np.array([0]), np.array([1]), 0, np.array([True]))
    same = Pairs(np.array([0]), np.array([2]), 0, np.array([False]))
    assert log_odds(proba.log(), other, truth, coded).item() == pytest.approx(0.0, abs=1e-6)
    expected = np.log2(0.7 / 0.3)
    assert log_odds(proba.log(), same, truth, coded).item() == pytest.approx(expected, rel=1e-5)


def test_errors_of_means_count_shared_instances():
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 12, (40, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    own = rng.normal(size=12)
    values = (own[pairs].sum(axis=1) + 0.1 * rng.normal(size=len(pairs)))[:, None]
    away = values[:, 0] - values.mean()
    products = sum(
        away[i] * away[j] * len(set(pairs[i]) & set(pairs[j]))
        for i in range(len(pairs))
        for j in range(len(pairs))
    )
    expected = np.sqrt(products - (away**2).sum()) / len(pairs)
    mean, error = mean_over_pairs(values, pairs)
    assert mean[0] == pytest.approx(values.mean())
    assert error[0] == pytest.approx(expected)
    assert error[0] > 1.5 * away.std() / np.sqrt(len(pairs))


def test_errors_are_right_about_other_data(trained):
    """Scores on halves of the data differ by as much as their errors say."""
    net, X, y = trained
    rng, away = np.random.default_rng(0), []
    for seed in range(8):
        order = rng.permutation(len(X))
        found = [
            analyze(net, X[rows], y[rows], timepoints=[5], random_state=seed + 100 * i)
            for i, rows in enumerate((order[:120], order[120:]))
        ]
        error = np.hypot(*(relays.relay_map_error_ for relays in found))
        away.append((found[0].relay_map_ - found[1].relay_map_) / error)
    assert 0.4 < np.std(away) < 1.3


# ---------------------------------------------------------------- rankings


def test_rankings_by_interchange_and_specific_ones():
    net, X, y = two_bit_net(n_instances=600)
    concepts = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    where = {"concepts": concepts, "timepoints": [2], "random_state": 0}
    scores = rank_nodes(net, X, y, method="interchange", n_pairs=500, **where)
    relays = analyze(net, X, y, n_pairs=500, carried=False, concepts=concepts, timepoints=[2])
    np.testing.assert_array_equal(scores, relays.relay_map_)
    specific = rank_nodes(net, X, y, method="interchange", n_pairs=500, specific=True, **where)
    fraction = scores / np.abs(scores).sum(axis=2, keepdims=True)
    np.testing.assert_allclose(specific, fraction - np.abs(fraction[::-1]))
    np.testing.assert_allclose(
        combine_rankings(scores, specific=True), combine_rankings(specific), atol=1e-12
    )


def test_one_against_the_rest_of_two_classes_has_no_other_concept():
    net, X, y = latches()
    scores = rank_nodes(net, X, y, timepoints=[2], random_state=0)
    specific = rank_nodes(net, X, y, timepoints=[2], specific=True, random_state=0)
    total = np.abs(scores).sum(axis=2, keepdims=True)
    np.testing.assert_allclose(specific, scores / total)


def test_rankings_are_compared_by_specific_scores():
    """Node 0 has most of both concepts, nodes 1 and 2 each have one of them."""
    net, X, y = two_bit_net(n_instances=600)
    concepts = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    own = np.array([[[9.0, 5.0, 0.0, 0.0, 0.0, 0.0]], [[9.0, 0.0, 5.0, 0.0, 0.0, 0.0]]])
    options = {"concepts": concepts, "timepoints": [2], "n_relays": 1, "random_state": 0}
    options |= {"n_random": 2, "n_resamples": 2, "test_size": None}
    result = compare_rankings(
        net, X, y, rankings={"own": own, "readout": "readout"}, specific=True, **options
    )
    assert result.sets[0, :, 0, 0].tolist() == [0, 0]  # scores of one's own stay as they are
    assert result.sets[1, 1, 0, 0] == 2
    assert result.sets[1, 0, 0, 0] in (0, 1)
    with pytest.raises(TypeError, match="specific='yes'"):
        compare_rankings(net, X, y, specific="yes")


# ---------------------------------------------------------------- bad arguments


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_permutations": 20}, ValueError, "n_permutations=20; expected 0 with method='interch"),
        ({"n_resamples": 5}, ValueError, "n_resamples=5; expected 0 with method='interchange'"),
        ({"n_relays": "auto"}, ValueError, "n_relays='auto'; expected a number with method='int"),
        ({"window": 0}, ValueError, "window=0; expected an integer >= 1"),
        ({"n_pairs": 1}, ValueError, "n_pairs=1; expected an integer >= 2"),
        ({"n_pairs": 2.5}, TypeError, "n_pairs=2.5"),
        ({"credit": "shapley"}, ValueError, "credit='shapley'; expected one of 'auto'"),
        ({"method": "exchange"}, ValueError, "method='exchange'; expected one of .*'interchange'"),
    ],
)
def test_bad_parameters(options, error, message):
    net, X, y = hand_made_net()
    with pytest.raises(error, match=message):
        analyze(net, X, y, **options)


@pytest.mark.parametrize("options", [{"window": 0}, {"n_pairs": 1}, {"credit": "shapley"}])
def test_parameters_are_checked_with_every_method(options):
    net, X, y = hand_made_net()
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        analyze(net, X, y, method="throughput", **options)


def test_a_map_is_the_same_without_what_is_carried():
    net, X, y = two_bit_net()
    maps = [analyze(net, X, y, carried=carried).relay_map_ for carried in (True, False)]
    np.testing.assert_array_equal(*maps)


def test_time_steps_without_pairs_are_unknown():
    net, X, y = latches()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        relays = analyze(net, X[y == "plus"], y[y == "plus"])
    assert np.isnan(relays.relay_map_).all()
    assert np.isnan(relays.total_).all()
    assert not relays.reliable_.any()


# ---------------------------------------------------------------- windows


@CREDITS
def test_nodes_that_follow_the_source_to_the_end_replace_later_input(credit):
    net, X, y = repeated_net()
    relays = analyze(net, X, y, window=None, credit=credit, timepoints=[0, 2])
    np.testing.assert_allclose(relays.relay_map_[:, :, 0], relays.total_, rtol=1e-3)
    assert relays.total_.min() > 10
    assert (relays.relay_map_[:, :, 1:] == 0).all()
    short = analyze(net, X, y, window=4, credit=credit, timepoints=[0])
    assert np.abs(short.relay_map_).max() < 1e-6


@pytest.mark.parametrize("window", [3, None])
@pytest.mark.parametrize("where", [{"layer": 0, "state": "c"}, {"layer": 1, "align": "end"}])
def test_gradients_and_permutations_agree_about_windows(trained, where, window):
    net, X, y = trained
    options = {"timepoints": [6], "n_pairs": 3000, "window": window} | where
    gradients, permutations = (
        analyze(net, X, y, credit=credit, **options) for credit in ("gradients", "permutations")
    )
    np.testing.assert_allclose(permutations.gap_, 0.0, atol=1e-4)
    # The values of Aumann and Shapley, and of Shapley, are not the same, but close to each other.
    one, other = gradients.relay_map_.ravel(), permutations.relay_map_.ravel()
    assert np.corrcoef(one, other)[0, 1] > 0.97
    assert np.abs(one - other).sum() < 0.2 * np.abs(other).sum()
    error = np.hypot(gradients.total_error_, permutations.total_error_)
    assert (np.abs(gradients.total_ - permutations.total_) < 4 * error).all()


@CREDITS
@pytest.mark.parametrize("window", [1, 2, None])
def test_totals_are_those_of_states_that_are_clamped(trained, credit, window):
    """The total is that of clamps of all nodes, pair by pair, over many pairs."""
    net, X, y = trained
    relays = analyze(net, X, y, timepoints=[4], window=window, credit=credit, n_pairs=3000)
    hidden, lengths = net.hidden_states(X), (~np.isnan(X[:, 0])).sum(axis=1)
    base, source = np.random.default_rng(1).integers(0, len(X), (2, 4000))
    at = np.minimum(np.arange(X.shape[2]), lengths[source, None] - 1)
    stop = None if window is None else 4 + window
    values = hidden[source[:, None], at]
    run = net.unroll(X[base], clamp=Clamp(np.arange(6), values, 4, stop))
    before = net.unroll(X[base])
    for concept, label in enumerate(net.classes_):
        change = [
            each[:, concept] - logsumexp(np.delete(each, concept, axis=1), axis=1)
            for each in (run.logits, before.logits)
        ]
        differ = (y[base] == label) != (y[source] == label)
        sign = np.where(y[source] == label, 1, -1)[differ]
        expected = (sign * (change[0] - change[1])[differ] / np.log(2)).mean()
        # Pairs are drawn alike: all that differ are equally likely.
        assert relays.total_[concept, 0] == pytest.approx(
            expected, abs=4 * relays.total_error_.max()
        )


# ---------------------------------------------------------------- what is not known


def test_few_instances_are_not_reliable():
    net, X, y = hand_made_net()
    for options in ({}, {"carried": False}, {"credit": "permutations", "n_pairs": 2}):
        assert not analyze(net, X[:20], y[:20], **options).reliable_.any()
    assert analyze(net, X, y, carried=False).reliable_.all()


def test_a_network_that_always_says_the_same_has_no_reliable_map():
    net, X, y = hand_made_net()
    with torch.no_grad():
        net.module_.readout.weight.zero_()
    relays = analyze(net, X, y, carried=False)
    assert (relays.relay_map_ == 0).all()
    assert not relays.reliable_.any()


def test_what_is_unknown_or_unreliable_is_said():
    net, X, y = hand_made_net()
    with pytest.warns(RelayMapWarning, match="t 8 of 8 concepts and time steps there are no pairs"):
        analyze(net, X[y == "plus"], y[y == "plus"])
    net, X, y = attractor_net()
    with pytest.warns(RelayMapWarning, match="the map by interchange is not reliable"):
        analyze(net, X, y, timepoints=[0], credit="gradients")


def test_parameters_set_after_fit_change_nothing():
    net, X, y = exclusive_or_net()
    relays = analyze(net, X, y, n_relays=2)
    before, shown = relays.relays(concept=0, timepoint=1).tolist(), repr(relays).split("\n")[1:]
    relays.set_params(method="throughput")
    assert relays.relays(concept=0, timepoint=1).tolist() == before
    assert repr(relays).split("\n")[1:] == shown
    assert RelayMapDisplay.from_estimator(relays).signed


def test_errors_count_that_pairs_share_orders_of_nodes():
    groups = np.repeat(np.arange(10), 50)
    rng = np.random.default_rng(0)
    values = rng.normal(size=10)[groups] + 0.1 * rng.normal(size=500)
    pairs = np.column_stack([2 * np.arange(500), 2 * np.arange(500) + 1])
    alone, together = (mean_over_pairs(values[:, None], pairs, g)[1][0] for g in (None, groups))
    assert together == pytest.approx(values.reshape(10, 50).mean(axis=1).std() / 10**0.5, rel=0.01)
    assert together > 5 * alone


def test_rankings_are_compared_over_the_window_of_the_knockouts():
    net, X, y = repeated_net()
    options = {"timepoints": [0], "n_relays": 1, "n_random": 1, "n_resamples": 2, "random_state": 0}
    result = compare_rankings(net, X, y, rankings="interchange", test_size=None, **options)
    assert result.sets[0, :, 0, 0].tolist() == [0, 0]  # in one step nothing is heard
    assert result.ties[0].tolist() == [[0], [0]]


def test_specific_scores_need_concepts():
    with pytest.raises(ValueError, match=r"shape \(3,\) with specific=True; expected concepts"):
        combine_rankings([1.0, 2.0, 3.0], specific=True)
