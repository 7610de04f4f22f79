"""What the layer carries to the output, beside the relay map."""

import numpy as np
import pytest
from conftest import cut_short, make_panel
from known_nets import exclusive_or_net, hand_made_net, repeated_net, two_bit_net
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from relayestimators import LSTMClassifier, RelayAnalyzer
from relayestimators.displays import RelayMapDisplay
from relayestimators.inspection import interchange_information
from relayestimators.relay import METHODS, RelayMapWarning


def analyzer(net, **options):
    return RelayAnalyzer(FrozenEstimator(net), random_state=0, **options)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_what_the_layer_carries(method):
    net, X, y = hand_made_net()
    carried = analyzer(net, method=method).fit(X, y).carried_
    assert carried.shape == (2, 4)
    assert carried.min() > 0.95


def test_it_is_the_interchange_information_of_all_nodes():
    net, X, y = two_bit_net(n_instances=600)
    options = {"timepoints": [1, 3], "concepts": "class"}
    found = analyzer(net, **options).fit(X, y)  # with two sources, because of four values
    expected = interchange_information(net, X, y, n_sources=3, random_state=1, **options)
    assert np.abs(found.carried_ - expected.carried).max() < 3 * found.carried_error_.max()
    few = analyzer(net, **options).fit(X[:200], y[:200])
    assert np.isnan(few.carried_).all()  # 200 instances are too few for four classes
    found = analyzer(net, timepoints=[1, 3]).fit(X, y)
    expected = interchange_information(net, X, y, timepoints=[1, 3], n_sources=3, random_state=1)
    assert np.abs(found.carried_ - expected.carried).max() < 3 * found.carried_error_.max()
    assert 0 < expected.carried_error.max() < found.carried_error_.max() < 0.1


def test_it_can_be_left_out():
    net, X, y = hand_made_net()
    relays = analyzer(net).fit(X, y)
    ranking, remarks = relays.ranking_, relays.remarks_
    relays.set_params(carried=False).fit(X, y)
    assert not hasattr(relays, "carried_")
    assert not hasattr(relays, "carried_error_")
    np.testing.assert_array_equal(relays.ranking_, ranking)
    assert relays.remarks_ == remarks
    with pytest.raises(TypeError, match="carried='yes'; expected True or False"):
        clone(relays).set_params(carried="yes").fit(X, y)


@pytest.mark.filterwarnings("ignore:For 2 of 2 concepts")
def test_what_nodes_know_and_the_layer_does_not_carry_is_said():
    net, X, y = repeated_net()
    with pytest.warns(RelayMapWarning, match="t 8 of 10 concepts and time steps nodes know what"):
        relays = analyzer(net).fit(X, y)
    assert relays.relay_map_[:, :, 0].min() > 0.9
    np.testing.assert_allclose(relays.carried_[:, :4], 0.0, atol=0.02)
    assert relays.carried_[:, 4].min() > 0.95
    assert "a node has 1.00 bits about concept 0, of which all nodes together carry 0.00" in (
        repr(relays)
    )


def test_what_is_carried_and_no_node_shows_is_said():
    net, X, y = exclusive_or_net()
    with pytest.warns(RelayMapWarning, match="8 of 10 concepts and time steps the layer carries"):
        relays = analyzer(net, method="single").fit(X, y)
    assert relays.carried_.min() > 0.95
    assert relays.relay_map_[:, :4].max() < 0.05
    assert analyzer(net).fit(X, y).relay_map_[:, :4, :2].min() > 0.3


def test_states_aligned_at_the_end_are_exchanged_there():
    """The last states of all series decide, so that they carry all that is predicted."""
    X, y = make_panel(n_instances=240)
    X = cut_short(X, 5 + np.arange(len(X)) % 5)
    net = LSTMClassifier(max_epochs=30, lr=0.05, random_state=0).fit(X, y)
    relays = analyzer(net, align="end", timepoints=[-1]).fit(X, y)
    np.testing.assert_allclose(relays.carried_[:, 0], relays.information_, atol=0.1)
    assert relays.information_.min() > 0.3
    early = analyzer(net, timepoints=[0]).fit(X, y)
    assert early.carried_.max() < 0.1


def test_the_figure_shows_it_above_the_map():
    net, X, y = hand_made_net()
    display = RelayMapDisplay.from_estimator(analyzer(net).fit(X, y))
    above = display.title_ax_
    assert above is not display.ax_
    assert above.get_ylabel() == "carried\n(bits)"
    np.testing.assert_allclose(above.lines[0].get_ydata(), display.carried)
    assert above.get_title(loc="right") == "I(A;B) = 0.99 bits"
    display.figure_.canvas.draw()
    left, right = (np.array(ax.get_position())[:, 0] for ax in (above, display.ax_))
    np.testing.assert_allclose(left, right, atol=1e-3)
    without = RelayMapDisplay.from_estimator(analyzer(net, carried=False).fit(X, y))
    assert without.title_ax_ is without.ax_
