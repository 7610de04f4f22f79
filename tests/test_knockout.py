"""KnockoutTransformer: values, windows, outputs, and a network that is not changed."""

import numpy as np
import pytest
import torch
from conftest import cut_short, make_panel, small_net
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from relayestimators import KnockoutTransformer, LSTMClassifier
from relayestimators.knockout import draw_values
from relayestimators.networks import Clamp, _compiled_steps


def knockout(net, **options):
    return KnockoutTransformer(FrozenEstimator(net), **options)


@pytest.fixture(scope="module")
def gru():
    """A trained network, for tests that do not depend on the cell."""
    return small_net(lr=0.01, max_epochs=15, batch_size=16).fit(*make_panel())


def test_without_nodes_the_network_is_intact(fitted):
    X, y = make_panel()
    intact = knockout(fitted).fit(X, y)
    np.testing.assert_allclose(intact.predict_proba(X), fitted.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(intact.predict(X), fitted.predict(X))
    assert intact.score(X, y) == fitted.score(X, y)
    np.testing.assert_array_equal(intact.hidden_states(X), fitted.hidden_states(X))


@pytest.mark.parametrize(
    ("value", "clamped_to"),
    [
        ("zero", lambda hidden: np.zeros(2)),
        ("mean", lambda hidden: hidden[:, :, [4, 1]].mean(axis=0)),
        (0.3, lambda hidden: np.full(2, 0.3)),
        ([0.1, -0.2], lambda hidden: np.array([0.1, -0.2])),
        (np.arange(20.0).reshape(10, 2), lambda hidden: np.arange(20.0).reshape(10, 2)),
    ],
    ids=["zero", "mean", "number", "per node", "per step and node"],
)
def test_values_hold_in_the_order_of_nodes(value, clamped_to, fitted):
    X, y = make_panel()
    ablated = knockout(fitted, nodes=[4, 1], value=value).fit(X, y)
    expected = clamped_to(fitted.hidden_states(X))
    np.testing.assert_allclose(ablated.values_, expected, atol=1e-6)
    shown = ablated.hidden_states(X)[:, :, [4, 1]]
    np.testing.assert_allclose(shown, np.broadcast_to(expected, shown.shape), atol=1e-6)


def test_mean_is_taken_in_fit_over_instances_with_the_time_step(fitted):
    X, y = make_panel()
    short = cut_short(X, np.where(np.arange(60) < 20, 10, 6))
    ablated = knockout(fitted, nodes=[0]).fit(short, y)
    hidden = fitted.hidden_states(X)[:, :, 0]
    np.testing.assert_allclose(ablated.values_[:6, 0], hidden[:, :6].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(ablated.values_[6:, 0], hidden[:20, 6:].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(
        ablated.hidden_states(X[:5])[:, :, 0], np.tile(ablated.values_[:, 0], (5, 1)), atol=1e-6
    )


def test_resampled_nodes_do_what_they_do_in_another_instance(fitted):
    X, y = make_panel()
    ablated = knockout(fitted, nodes=[4, 1], value="resample", random_state=0).fit(X, y)
    donors = fitted.hidden_states(X)[:, :, [4, 1]]
    shown = ablated.hidden_states(X[:50])[:, :, [4, 1]]
    nearest = np.abs(shown[:, None] - donors).max(axis=(2, 3))
    assert nearest.min(axis=1).max() < 1e-6  # a whole trajectory, both nodes of the same donor
    assert 20 < len(np.unique(nearest.argmin(axis=1))) <= 50
    np.testing.assert_array_equal(ablated.predict_proba(X), ablated.predict_proba(X))
    other = knockout(fitted, nodes=[4, 1], value="resample", random_state=1).fit(X, y)
    assert not np.array_equal(ablated.predict_proba(X), other.predict_proba(X))


def test_noise_has_the_mean_and_the_deviation_of_the_step(fitted):
    X, y = make_panel(n_instances=2000)
    ablated = knockout(fitted, nodes=[2, 0], value="noise", random_state=0).fit(X, y)
    hidden = fitted.hidden_states(X)[:, :, [2, 0]]
    shown = ablated.hidden_states(X)[:, :, [2, 0]]
    deviation = hidden.std(axis=0)
    assert np.abs((shown.mean(axis=0) - hidden.mean(axis=0)) / deviation).max() < 0.1
    np.testing.assert_allclose(shown.std(axis=0), deviation, rtol=0.1)
    steps = (shown - shown.mean(axis=0)) / shown.std(axis=0)
    assert (
        np.abs((steps[:, 1:] * steps[:, :-1]).mean(axis=0)).max() < 0.1
    )  # independent between time steps


def test_the_last_state_of_a_short_donor_is_continued(fitted):
    X, y = make_panel()
    short = cut_short(X, np.where(np.arange(60) < 5, 10, 6))
    ablated = knockout(fitted, nodes=[3], value="resample", random_state=0).fit(short, y)
    np.testing.assert_array_equal(
        ablated.values_[5:, 6:, 0], ablated.values_[5:, 5:6, 0].repeat(4, 1)
    )
    assert np.isfinite(ablated.predict_proba(short)).all()


def test_resampling_in_fit_gives_every_instance_the_trajectory_of_another():
    values = np.arange(7.0)[:, None, None]
    for seed in range(20):
        drawn = draw_values("resample", values, np.random.RandomState(seed), 7, same=True)
        assert sorted(drawn.ravel()) == sorted(values.ravel())
        assert (drawn != values).all()


def test_the_last_mean_is_continued(fitted):
    X, y = make_panel()
    ablated = knockout(fitted, nodes=[0]).fit(cut_short(X, [6] * 60), y)
    assert (ablated.values_[6:] == ablated.values_[5]).all()
    shorter = knockout(fitted, nodes=[0]).fit(X[:, :, :6], y)
    with pytest.warns(UserWarning, match="Clamp.values has 6 time steps"):
        longer = shorter.predict_proba(X)
    np.testing.assert_allclose(longer, ablated.predict_proba(X), atol=1e-6)


def test_window(fitted):
    X, y = make_panel()
    ablated = knockout(fitted, nodes=[2], value=0.5, start=3, stop=7).fit(X, y)
    hidden, intact = ablated.hidden_states(X), fitted.hidden_states(X)
    np.testing.assert_array_equal(hidden[:, :3], intact[:, :3])
    assert (hidden[:, 3:7, 2] == 0.5).all()
    assert (hidden[:, 7:, 2] != 0.5).all()
    assert not np.allclose(hidden[:, 4:, [0, 1, 3]], intact[:, 4:, [0, 1, 3]], atol=1e-4)


def test_parameters_set_after_fit_have_no_effect(fitted):
    X, y = make_panel()
    ablated = knockout(fitted, nodes=[2], start=3, stop=7).fit(X, y)
    before = ablated.predict_proba(X)
    ablated.set_params(start=-50, stop=-3, layer=4, state="c", nodes=[5], value=9.0)
    np.testing.assert_array_equal(ablated.predict_proba(X), before)


def test_panels_that_end_before_the_window(fitted):
    X, y = make_panel()
    ablated = knockout(fitted, nodes=[2], start=6).fit(X, y)
    with pytest.warns(UserWarning, match="Clamp.start=6, .*5 time steps"):
        proba = ablated.predict_proba(X[:, :, :5])
    np.testing.assert_allclose(proba, fitted.predict_proba(X[:, :, :5]), atol=1e-6)


def test_outputs(gru):
    X, y = make_panel()
    X = cut_short(X, 4 + np.arange(60) % 7)
    runs = {
        output: knockout(gru, nodes=[1, 2], output=output).fit(X, y)
        for output in ("hidden", "logits", "proba")
    }
    last = runs["hidden"].hidden_states(X)[np.arange(60), 3 + np.arange(60) % 7]
    np.testing.assert_array_equal(runs["hidden"].transform(X), last)
    proba = runs["proba"].transform(X)
    np.testing.assert_array_equal(proba, runs["hidden"].predict_proba(X))
    logits = runs["logits"].transform(X)
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(proba, odds, atol=1e-6)
    assert runs["hidden"].get_feature_names_out().tolist() == [f"node{k}" for k in range(6)]
    assert runs["proba"].get_feature_names_out().tolist() == [
        "proba_high",
        "proba_low",
        "proba_mid",
    ]
    score = runs["proba"].score(X, y)
    assert score == accuracy_score(y, gru.classes_[proba.argmax(axis=1)])
    assert runs["proba"].score(X, y, sample_weight=np.ones(60)) == pytest.approx(score)


def test_layers_directions_and_memory_cells():
    X, y = make_panel()
    net = LSTMClassifier(
        module__hidden_size=4, module__num_layers=2, module__bidirectional=True, max_epochs=3
    ).fit(X, y)
    for layer in (0, 1):
        for state in ("h", "c"):
            ablated = knockout(net, nodes=[1, 6], value=0.2, layer=layer, state=state).fit(X, y)
            assert ablated.n_nodes_ == 8
            shown = ablated.hidden_states(X)[:, :, [1, 6]]
            np.testing.assert_allclose(shown, 0.2, atol=1e-7)
            assert not np.allclose(ablated.predict_proba(X), net.predict_proba(X), atol=1e-4)


def test_without_any_node_all_predictions_are_the_same(fitted):
    X, y = make_panel()
    ablated = knockout(fitted, nodes=range(6), start=9).fit(X, y)
    proba = ablated.predict_proba(X)
    np.testing.assert_allclose(proba, np.tile(proba[0], (60, 1)), atol=1e-6)


def snapshot(net):
    state = {name: tensor.clone() for name, tensor in net.module_.state_dict().items()}
    return state, net.module_.training, len(net.history), torch.get_rng_state()


def assert_same(before, after):
    assert all(torch.equal(tensor, after[0][name]) for name, tensor in before[0].items())
    assert before[1:3] == after[1:3]
    assert torch.equal(before[3], after[3])


def test_the_network_is_not_changed(fitted):
    X, y = make_panel()
    proba = fitted.predict_proba(X)
    before = snapshot(fitted)
    ablated = knockout(fitted, nodes=[0, 1], value="zero").fit(X, y)
    ablated.transform(X), ablated.predict(X), ablated.score(X, y)
    assert_same(before, snapshot(fitted))
    np.testing.assert_array_equal(fitted.predict_proba(X), proba)


def test_also_after_an_error(fitted):
    X, y = make_panel()
    before = snapshot(fitted)
    ablated = knockout(fitted, nodes=[0]).fit(X, y)
    broken = X.copy()
    broken[3, 0, 2] = np.nan
    with pytest.raises(ValueError, match="NaN inside a series.*instance 3"):
        ablated.predict(broken)
    assert_same(before, snapshot(fitted))


def test_also_after_an_error_inside_the_recurrence(fitted, monkeypatch):
    X, y = make_panel()
    before = snapshot(fitted)
    kind = {"rnn": "tanh"}.get(fitted.module_.cell, fitted.module_.cell)
    kernel = _compiled_steps.PASSES[kind]

    def failing_kernel(*arguments):
        if arguments[0] == 4:  # time step
            raise RuntimeError("inside the recurrence")
        kernel(*arguments)

    monkeypatch.setitem(_compiled_steps.PASSES, kind, failing_kernel)
    with pytest.raises(RuntimeError, match="inside the recurrence"):
        fitted.unroll(X, clamp=Clamp([0], [0.5]))
    assert_same(before, snapshot(fitted))


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        (
            {"nodes": [6]},
            ValueError,
            r"\[6\]; expected integers from 0 to 5",
        ),
        ({"nodes": [True] * 6}, TypeError, "nodes is a boolean mask"),
        (
            {"value": "median"},
            ValueError,
            "value='median'; expected one of 'zero', 'mean', 'resample', 'noise', a number",
        ),
        ({"value": [1.0, 2.0]}, ValueError, r"shape \(2,\).*shape \(1,\) or \(10, 1\)"),
        ({"value": np.nan}, ValueError, "value contains NaN"),
        ({"value": [None]}, ValueError, "dtype object"),
        ({"value": True}, ValueError, "dtype bool"),
        ({"start": 10}, ValueError, "start=10; expected an integer from 0 to 9"),
        ({"start": 4, "stop": 4}, ValueError, "stop=4; expected an integer from 5 to 10"),
        ({"output": "states"}, ValueError, "output='states'; expected one of 'hidden'"),
        ({"layer": 2}, ValueError, "layer=2; "),
        ({"state": "z"}, ValueError, "state='z'"),
    ],
)
def test_invalid_parameters(parameters, error, match, gru):
    X, y = make_panel()
    with pytest.raises(error, match=match):
        knockout(gru, **({"nodes": [0]} | parameters)).fit(X, y)


def test_only_recurrent_classifiers():
    with pytest.raises(TypeError, match="LogisticRegression.* has no hidden states"):
        KnockoutTransformer(LogisticRegression(), nodes=[0]).fit(*make_panel())


def test_a_failed_fit_changes_nothing(gru):
    X, y = make_panel()
    ablated = knockout(gru, nodes=[0, 1]).fit(X, y)
    proba = ablated.predict_proba(X)
    with pytest.raises(ValueError, match="value='bad'"):
        ablated.set_params(start=4, value="bad").fit(X, y)
    np.testing.assert_array_equal(ablated.predict_proba(X), proba)
    assert ablated.window_ == (0, None)


@pytest.mark.parametrize("value", [np.array(0.5), torch.tensor(0.5), np.float32(0.5), 0.5])
def test_numbers_of_any_type(value, gru):
    X, y = make_panel()
    np.testing.assert_array_equal(knockout(gru, nodes=[0, 3], value=value).fit(X, y).values_, 0.5)
