"""Other classifiers of scikit-learn around ours, metadata, displays and errors."""

import re

import numpy as np
import pytest
import sklearn
from conftest import cut_short, make_panel, small_net
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    GroupKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from skorch.dataset import ValidSplit
from test_with_sklearn import (
    FOLDS,
    analyzer,
    by_hand,
    knockout,
    scorer_of,
)
from torch import nn

from relayestimators import (
    GRUClassifier,
    KnockoutTransformer,
    PanelToTensor,
    RecurrentClassifier,
    RelayAnalyzer,
    RNNClassifier,
)
from relayestimators.inspection import relay_strength_scorer
from relayestimators.networks import RecurrentNetwork


@pytest.fixture(scope="module")
def data():
    return make_panel(n_instances=90)


@pytest.fixture(scope="module")
def net(data):
    return small_net().fit(*data)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


# ---------------------------------------------------------------- classifiers around classifiers


class AsGiven(ClassifierMixin, BaseEstimator):
    """A fitted classifier that returns its input as probabilities."""

    def __init__(self, classes):
        self.classes = classes
        self.classes_ = classes

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return X

    def predict(self, X):
        return self.classes[X.argmax(axis=1)]


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibration_of_a_frozen_net_and_of_a_knockout(method, data, net):
    X, y = data
    ablated = KnockoutTransformer(FrozenEstimator(net), [0, 1]).fit(X)
    for fitted in (net, ablated):
        found = CalibratedClassifierCV(FrozenEstimator(fitted), method=method).fit(X, y)
        proba = fitted.predict_proba(X)
        given = FrozenEstimator(AsGiven(fitted.classes_))
        expected = CalibratedClassifierCV(given, method=method).fit(proba, y)
        np.testing.assert_allclose(
            found.predict_proba(X), expected.predict_proba(proba), rtol=1e-4, atol=1e-6
        )


def test_voting_and_stacking(data):
    X, y = data
    parts = [("net", small_net(RNNClassifier)), ("knockout", knockout())]
    vote = VotingClassifier(parts, voting="soft").fit(X, y)
    expected = np.mean([part.fit(X, y).predict_proba(X) for _, part in parts], axis=0)
    np.testing.assert_allclose(vote.predict_proba(X), expected)
    stack = StackingClassifier(parts, LogisticRegression(), cv=FOLDS).fit(X, y)
    columns = [cross_val_predict(part, X, y, cv=FOLDS, method="predict_proba") for _, part in parts]
    final = LogisticRegression().fit(np.hstack(columns), y)
    now = np.hstack([part.predict_proba(X) for _, part in parts])
    np.testing.assert_allclose(stack.predict_proba(X), final.predict_proba(now), rtol=1e-6)


def test_one_against_the_rest_and_what_takes_no_three_dimensions(data):
    X, y = data
    table = X[:, 0]
    for make in (small_net, knockout):
        found = OneVsRestClassifier(make()).fit(X, y).predict_proba(X)
        each = [make().fit(X, y == label).predict_proba(X)[:, 1] for label in np.unique(y)]
        expected = np.column_stack(each)
        np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), rtol=1e-6)
        for around in (OneVsOneClassifier, BaggingClassifier):  # a limit of scikit-learn
            with pytest.raises(ValueError, match=f"dim 3.*{around.__name__}"):
                around(make()).fit(X, y)
        pairs = OneVsOneClassifier(make()).fit(table, y)
        assert pairs.score(table, y) > 0.5
        assert len(pairs.estimators_) == 3
        bag = BaggingClassifier(make(), 3, bootstrap=False, random_state=0).fit(table, y)
        single = [net.predict_proba(table) for net in bag.estimators_]
        np.testing.assert_allclose(bag.predict_proba(table), np.mean(single, axis=0), rtol=1e-6)
        assert not np.array_equal(single[0], single[1])  # each has its own seed


def test_thresholds(data):
    X, y = data
    y = np.where(y == "low", "low", "other")
    for estimator in (small_net(), knockout()):
        tuned = TunedThresholdClassifierCV(estimator, cv=3, scoring="balanced_accuracy").fit(X, y)
        proba = clone(estimator).fit(X, y).predict_proba(X)[:, 1]
        expected = np.where(proba >= tuned.best_threshold_, "other", "low")
        np.testing.assert_array_equal(tuned.predict(X), expected)
        strict = FixedThresholdClassifier(estimator, threshold=0.9).fit(X, y)
        np.testing.assert_array_equal(strict.predict(X), np.where(proba >= 0.9, "other", "low"))


# ---------------------------------------------------------------- metadata


class RecordingNetwork(RecurrentNetwork):
    """A network that records in `seen` the further arguments of `forward`."""

    seen = []

    def forward(self, X, **metadata):
        type(self).seen.extend(metadata)
        return super().forward(X)


def recording_net(**options):
    options = {"module__cell": "gru", "module__hidden_size": 6, "max_epochs": 2} | options
    return RecurrentClassifier(
        RecordingNetwork, criterion=nn.CrossEntropyLoss, verbose=0, random_state=0, **options
    )


def test_tools_hand_fit_parameters_to_the_net(data):
    X, y = data
    groups = np.arange(90) % 5
    split = ValidSplit(GroupKFold(5))
    for make in (RelayAnalyzer, KnockoutTransformer):
        RecordingNetwork.seen.clear()
        tool = make(recording_net(train_split=split)).fit(X, y, groups=groups)
        assert set(RecordingNetwork.seen) == {"groups"}
        expected = recording_net(train_split=split).fit(X, y, groups=groups)
        np.testing.assert_array_equal(
            tool.estimator_.history[:, "valid_loss"], expected.history[:, "valid_loss"]
        )


def test_routed_metadata_reach_the_net_in_pipelines_and_searches(data, routing):
    X, y = data
    groups = np.arange(90) % 5
    net = recording_net(train_split=ValidSplit(GroupKFold(5))).set_fit_request(groups=True)
    for tool in (RelayAnalyzer(net, random_state=0), KnockoutTransformer(net, nodes=[0])):
        RecordingNetwork.seen.clear()
        expected = clone(tool).fit(X, y, groups=groups)
        assert set(RecordingNetwork.seen) == {"groups"}
        for pipeline in (make_pipeline(tool), make_pipeline(tool, LogisticRegression())):
            RecordingNetwork.seen.clear()
            fitted = clone(pipeline).fit(X, y, groups=groups)[0]
            assert set(RecordingNetwork.seen) == {"groups"}
            np.testing.assert_array_equal(fitted.transform(X), expected.transform(X))
        with pytest.raises(TypeError, match=r"unexpected argument\(s\) {'weights'}.*not routed"):
            tool.fit(X, y, weights=groups)
    search = GridSearchCV(make_pipeline(tool), {"knockouttransformer__nodes": [[0], [1]]}, cv=3)
    RecordingNetwork.seen.clear()
    search.fit(X, y, groups=groups)
    assert set(RecordingNetwork.seen) == {"groups"}


def test_weights_are_routed_to_estimators_that_request_them(data, routing):
    X, y = data
    weights = np.random.default_rng(0).uniform(0.2, 3, 90)
    last = LogisticRegression().set_fit_request(sample_weight=True)
    pipeline = make_pipeline(PanelToTensor(), make_union(analyzer(), knockout()), last)
    found = pipeline.fit(X, y, sample_weight=weights).predict_proba(X)
    features = make_union(analyzer(), knockout()).fit(X, y).transform(X)
    expected = LogisticRegression().fit(features, y, sample_weight=weights)
    np.testing.assert_allclose(found, expected.predict_proba(features))
    assert not np.allclose(found, LogisticRegression().fit(features, y).predict_proba(features))


def test_weights_in_scores(data, routing):
    X, y = data
    weights = np.random.default_rng(0).uniform(0.2, 3, 90)
    for estimator in (small_net(), knockout()):
        asking = clone(estimator).set_score_request(sample_weight=True)
        found = cross_validate(asking, X, y, cv=FOLDS, params={"sample_weight": weights})
        for (train, test), score in zip(FOLDS.split(X, y), found["test_score"]):
            predicted = clone(estimator).fit(X[train], y[train]).predict(X[test])
            expected = accuracy_score(y[test], predicted, sample_weight=weights[test])
            assert score == pytest.approx(expected)
        with pytest.raises(UnsetMetadataPassedError, match="set_score_request"):
            cross_validate(estimator, X, y, cv=FOLDS, params={"sample_weight": weights})
    scoring = {
        "weighed": make_scorer(accuracy_score).set_score_request(sample_weight=True),
        "relays": relay_strength_scorer,  # does not take weights
    }
    both = cross_validate(
        small_net(), X, y, cv=FOLDS, scoring=scoring, params={"sample_weight": weights}
    )
    np.testing.assert_allclose(
        both["test_relays"], by_hand(small_net(), X, y, relay_strength_scorer)
    )


def test_routing_changes_nothing_else(data):
    X, y = data

    def results():
        steps = make_pipeline(PanelToTensor(), analyzer(), LogisticRegression())
        yield GridSearchCV(steps, {"relayanalyzer__n_relays": [1, 3]}, cv=FOLDS)
        yield GridSearchCV(knockout(), {"nodes": [None, [0]]}, scoring="f1_macro", cv=FOLDS)
        yield GridSearchCV(
            analyzer(), {"n_states": [2, 3]}, scoring=relay_strength_scorer, cv=FOLDS
        )
        parts = [("net", small_net()), ("knockout", knockout())]
        yield VotingClassifier(parts, voting="soft")
        yield StackingClassifier(parts, cv=FOLDS)
        yield CalibratedClassifierCV(knockout(), cv=FOLDS)
        yield OneVsRestClassifier(small_net())

    without = [search.fit(X, y).score(X, y) for search in results()]
    with sklearn.config_context(enable_metadata_routing=True):
        assert [search.fit(X, y).score(X, y) for search in results()] == without


def test_weights_are_refused_by_name(data):
    X, y = data
    for estimator in (small_net(), analyzer(), knockout()):
        with pytest.raises(
            TypeError, match="fit received sample_weight=.*no argument sample_weight"
        ):
            estimator.fit(X, y, sample_weight=np.ones(90))
    for estimator in (small_net(), knockout()):
        with pytest.raises(ValueError, match="doesn't support sample_weight"):
            AdaBoostClassifier(estimator).fit(X, y)


# ---------------------------------------------------------------- displays and errors


def text_of(html):
    """Return the text of a page, without styles and scripts."""
    html = re.sub(r"<(style|script).*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_html_shows_the_net_inside_and_whether_it_is_fitted(data, net):
    X, y = data
    pipeline = make_pipeline(
        PanelToTensor(), KnockoutTransformer(FrozenEstimator(net), [0]), StandardScaler()
    )
    for fitted, state in ((False, "Not fitted"), (True, "Fitted")):
        text = text_of((pipeline.fit(X, y) if fitted else pipeline)._repr_html_())
        assert state in text
        for part in ("PanelToTensor", "KnockoutTransformer", "FrozenEstimator", "GRUClassifier"):
            assert part in text
        assert "module__hidden_size 6" in text
        assert ("nodes_" in text) == fitted
    text = text_of(analyzer().fit(X, y)._repr_html_())
    assert "estimator: GRUClassifier" in text
    assert "# analyzed on the data that the network was trained on" in text
    for attribute in ("relay_map_", "coverage_", "n_features_in_", "support_"):
        assert attribute in text


def test_deep_parameters_reach_the_net():
    tool = make_pipeline(PanelToTensor(), knockout())
    name = "knockouttransformer__estimator__"
    tool.set_params(**{f"{name}module__hidden_size": 4, f"{name}optimizer__weight_decay": 0.1})
    inner = tool[-1].estimator
    assert inner.module__hidden_size == 4
    assert tool.get_params()[f"{name}optimizer__weight_decay"] == 0.1
    assert clone(tool)[-1].estimator.get_params()["module__hidden_size"] == 4
    with pytest.raises(ValueError, match="Invalid parameter 'neurons' for estimator.*GRU"):
        tool.set_params(**{f"{name}neurons": 3})


def test_deep_parameters_of_a_fitted_tool_take_effect_in_the_next_fit(data):
    X, y = data
    tool = knockout().fit(X, y)
    before = tool.predict_proba(X)
    tool.set_params(estimator__module__hidden_size=3, nodes=[1])
    np.testing.assert_array_equal(tool.predict_proba(X), before)
    assert tool.fit(X, y).n_nodes_ == 3


WRONG = {
    "a knockout": (knockout(), r"KnockoutTransformer\(GRUClassifier\).*use the GRUClassifier"),
    "an analyzer": (analyzer(), r"RelayAnalyzer\(GRUClassifier\).*estimator_"),
    "a search": (
        GridSearchCV(small_net(), {"lr": [0.1]}),
        r"GridSearchCV\(GRUClassifier\).*best_estimator_",
    ),
    "a pipeline": (make_pipeline(PanelToTensor(), small_net()), r"last step, pipeline\[-1\]"),
    "another classifier": (LogisticRegression(), "LogisticRegression.*such as RNNClassifier"),
    "another, frozen": (
        FrozenEstimator(LogisticRegression()),
        r"FrozenEstimator\(LogisticRegression\).*such as RNNClassifier",
    ),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("tool", [RelayAnalyzer, KnockoutTransformer])
def test_what_is_around_a_net_is_refused_with_the_way_in(tool, name, data):
    estimator, match = WRONG[name]
    with pytest.raises(TypeError, match=f"^estimator .*{match}"):
        tool(estimator).fit(*data)


def test_other_errors(data, net):
    X, y = data
    frozen = FrozenEstimator(net)
    with pytest.raises(TypeError, match="an instance of scikit-learn estimator instead of a class"):
        RelayAnalyzer(GRUClassifier).fit(X, y)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        RelayAnalyzer(frozen).fit(X, np.linspace(0, 1, 90))
    with pytest.raises(ValueError, match="RelayAnalyzer requires y to be passed"):
        RelayAnalyzer(frozen).fit(X, None)
    with pytest.raises(ValueError, match=r"y contains \['else'\]"):
        RelayAnalyzer(frozen).fit(X, np.where(y == "low", "else", y))
    with pytest.raises(TypeError, match="should have a 'score' method"):
        GridSearchCV(analyzer(), {"n_relays": [1]}).fit(X, y)
    with pytest.raises(ValueError, match="X has 2 dimensions; expected 3"):
        knockout().fit(X, y).predict(X[:, 0])


def test_a_frozen_net_needs_no_labels_to_be_knocked_out(data, net):
    X, y = data
    tool = KnockoutTransformer(FrozenEstimator(net), [0, 1])
    with_labels = tool.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(tool.fit(X).predict_proba(X), with_labels)
    np.testing.assert_array_equal(tool.fit_transform(X), tool.transform(X))


def test_unequal_series_through_it_all(data):
    X, y = data
    X = cut_short(X, 5 + np.arange(90) % 6)
    pipeline = make_pipeline(make_union(analyzer(), knockout()), LogisticRegression())
    grid = {"featureunion__relayanalyzer__n_relays": [1, 3]}
    search = GridSearchCV(pipeline, grid, cv=FOLDS, error_score="raise").fit(X, y)
    expected = by_hand(search.best_estimator_, X, y, scorer_of(accuracy_score))
    assert search.best_score_ == pytest.approx(np.mean(expected))
