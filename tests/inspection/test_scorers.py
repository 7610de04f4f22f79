"""Scorers of relays, in a search over cell, size, learning rate, discretization and relays."""

import ast
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from known_nets import BITS, hand_made_net, two_bit_net
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid, RandomizedSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline

from relayestimators import (
    GRUClassifier,
    LSTMClassifier,
    PanelToTensor,
    RelayAnalyzer,
    RNNClassifier,
)
from relayestimators.datasets import make_memory_task
from relayestimators.inspection import (
    localization_scorer,
    relay_strength_scorer,
    specificity_scorer,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "relay_search.py"


def rule_of_the_example():
    """Return the refit rule of the example, without running its search."""
    wanted = ("N_FOLDS", "TOLERANCE", "most_localized")
    body = [
        node
        for node in ast.parse(EXAMPLE.read_text()).body
        if getattr(node, "name", getattr(getattr(node, "targets", [None])[0], "id", None)) in wanted
    ]
    names = {"np": np}
    exec(compile(ast.Module(body, []), str(EXAMPLE), "exec"), names)  # noqa: S102
    return names["most_localized"]


def results(accuracy, localized, specificity):
    """Return results of a search: means, and specificity by candidate and fold."""
    return {
        "mean_test_net": np.array(accuracy),
        "mean_test_localization": np.array(localized),
        **{f"split{fold}_test_specificity": np.array(specificity).T[fold] for fold in range(3)},
    }


@pytest.mark.parametrize(
    ("accuracy", "localized", "specificity", "chosen"),
    [
        ([0.25, 0.98, 0.975], [0.9, 0.1, 0.2], [[1, 1, 1]] * 3, 2),  # the first learned nothing
        ([0.98, 0.98, 0.98], [0.3, 0.2, 0.1], [[1, -0.1, 1], [0.1] * 3, [1] * 3], 1),
        ([0.98, 0.98, 0.9], [0.3, 0.4, 0.5], [[-1] * 3, [1, 1, 0], [1] * 3], 1),  # none specific
        ([np.nan, 0.9, 0.9], [np.nan, 0.1, 0.2], [[np.nan] * 3, [1] * 3, [1] * 3], 2),  # failed
    ],
)
def test_rule_of_the_example(accuracy, localized, specificity, chosen):
    assert rule_of_the_example()(results(accuracy, localized, specificity)) == chosen


# ---------------------------------------------------------------- scores


@pytest.fixture(scope="module")
def task():
    return make_memory_task(240, n_bits=2, delay=3, random_state=0)


def make_pipeline_of(task, net):
    relays = RelayAnalyzer(net, concepts=task.concepts, timepoints=[3], random_state=0)
    return Pipeline([("panel", PanelToTensor()), ("relays", relays), ("readout", _readout())])


def _readout():
    return LogisticRegression(max_iter=1000)


def test_analyzer_inside_a_pipeline_is_scored_as_alone(task):
    X, y = task.data, task.target
    pipeline = make_pipeline_of(task, GRUClassifier(max_epochs=2, random_state=0))
    pipeline.set_params(relays__n_relays=4, relays__n_states=3).fit(X[:120], y[:120])
    for score in (relay_strength_scorer, localization_scorer, specificity_scorer):
        expected = score(pipeline["relays"], X[120:], y[120:])
        assert score(pipeline, X[120:], y[120:]) == expected
        assert score(FrozenEstimator(pipeline), X[120:], y[120:]) == expected
        assert score(FrozenEstimator(pipeline["relays"]), X[120:], y[120:]) == expected


def test_discretization_and_number_of_relays_reach_the_scores(task):
    X, y = task.data, task.target
    net = FrozenEstimator(GRUClassifier(max_epochs=5, random_state=0).fit(X[:120], y[:120]))
    X, y = X[120:], y[120:]

    def scores(score, **options):
        analyzer = RelayAnalyzer(net, concepts=task.concepts, timepoints=[3], **options)
        found = score(analyzer.fit(X, y), X, y)
        # the scorer has the same parameters, and gives the same score to the network
        assert found == score(net, X, y, concepts=task.concepts, timepoints=[3], **options)
        return found

    options = [{}, {"n_states": 3}, {"strategy": "quantile"}, {"strategy": "sign"}]
    assert len({scores(localization_scorer, **each) for each in options}) == 4
    assert len({scores(specificity_scorer, n_relays=n) for n in (2, 8, 0.9)}) == 3
    analyzer = RelayAnalyzer(net, n_states=2, timepoints=[3], n_relays=1).fit(X, y)
    assert localization_scorer(analyzer, X, y, n_states=None) == localization_scorer(
        net, X, y, timepoints=[3]
    )


def test_chance_does_not_count_as_localized():
    net, X, y = hand_made_net()
    noise = np.random.default_rng(0).permutation(y)
    assert localization_scorer(net, X, noise) > 0.2
    assert localization_scorer(net, X, noise, n_permutations=39) == 0.0
    analyzer = RelayAnalyzer(FrozenEstimator(net), n_permutations=39, random_state=0).fit(X, y)
    assert analyzer.significant_.any(axis=2).all()
    assert localization_scorer(analyzer, X, y) == localization_scorer(net, X, y)

    # The second bit of the labels is noise, so only the first counts.
    net, X, y = two_bit_net(400)
    y = y % 2 + 2 * np.random.default_rng(0).permutation(y // 2)
    first = localization_scorer(net, X, y, concepts=np.array(BITS)[:, :1])
    assert localization_scorer(net, X, y, concepts=BITS) != pytest.approx(first)
    significant = localization_scorer(net, X, y, concepts=BITS, n_permutations=39)
    assert significant == pytest.approx(first)


# ---------------------------------------------------------------- the search


def space_and_scoring(task):
    training = {"max_epochs": 2, "batch_size": 40, "random_state": 0}
    common = {
        "relays__estimator__module__hidden_size": [4, 8],
        "relays__estimator__lr": [1e-3, 2e-2],
        "relays__n_states": [2, 3],
        "relays__strategy": ["quantile", "kmeans"],
        "relays__n_relays": [0.25, 0.5],
    }
    cells = [(RNNClassifier, "h"), (GRUClassifier, "h"), (LSTMClassifier, "c")]
    space = [
        common | {"relays__estimator": [cell(**training)], "relays__state": [state]}
        for cell, state in cells
    ]
    scoring = {
        "net": lambda pipeline, X, y: pipeline["relays"].estimator_.score(X, y),
        "from_relays": "accuracy",
        "localization": partial(localization_scorer, n_states=2, strategy="quantile"),
        "specificity": specificity_scorer,
    }
    return space, scoring


def test_search_over_everything_at_once(task):
    X, y = task.data, task.target
    space, scoring = space_and_scoring(task)
    pipeline = make_pipeline_of(task, GRUClassifier())
    one, two = (
        RandomizedSearchCV(
            pipeline,
            space,
            n_iter=4,
            scoring=scoring,
            refit=rule_of_the_example(),
            cv=StratifiedKFold(3),
            random_state=3,
            n_jobs=n_jobs,
            error_score="raise",
        ).fit(X, y)
        for n_jobs in (1, 2)
    )
    cells = {type(net) for net in one.cv_results_["param_relays__estimator"]}
    assert cells == {RNNClassifier, GRUClassifier, LSTMClassifier}
    for name in scoring:
        for part in ("split0", "split1", "split2", "mean", "rank"):
            key = f"{part}_test_{name}"
            np.testing.assert_array_equal(one.cv_results_[key], two.cv_results_[key])
    assert one.best_index_ == two.best_index_ == rule_of_the_example()(one.cv_results_)
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))

    # The best candidate by hand: its parameters reach the network and the analyzer.
    params = one.cv_results_["params"][one.best_index_]
    train, test = list(StratifiedKFold(3).split(X, y))[1]
    relays = RelayAnalyzer(
        clone(params["relays__estimator"]).set_params(
            lr=params["relays__estimator__lr"],
            module__hidden_size=params["relays__estimator__module__hidden_size"],
        ),
        concepts=task.concepts,
        timepoints=[3],
        random_state=0,
        **{name: params[f"relays__{name}"] for name in ("state", "strategy", "n_states")},
        n_relays=params["relays__n_relays"],
    ).fit(X[train], y[train])
    readout = _readout().fit(relays.transform(X[train]), y[train])
    expected = {
        "net": relays.estimator_.score(X[test], y[test]),
        "from_relays": readout.score(relays.transform(X[test]), y[test]),
        "localization": localization_scorer(
            relays, X[test], y[test], n_states=2, strategy="quantile"
        ),
        "specificity": specificity_scorer(relays, X[test], y[test]),
    }
    found = {name: one.cv_results_[f"split1_test_{name}"][one.best_index_] for name in scoring}
    assert found == expected
    assert relays.n_relays_ == round(relays.ranking_.size * params["relays__n_relays"])


def test_every_candidate_has_the_parameters_of_the_space(task):
    space, _ = space_and_scoring(task)
    pipeline = make_pipeline_of(task, GRUClassifier())
    for params in ParameterGrid(space):
        relays = clone(pipeline).set_params(**clone(params, safe=False))["relays"]
        assert type(relays.estimator) is type(params["relays__estimator"])
        assert relays.estimator.lr == params["relays__estimator__lr"]
        size = relays.estimator.get_params()["module__hidden_size"]
        assert size == params["relays__estimator__module__hidden_size"]
        assert relays.n_states == params["relays__n_states"]
    assert "module__hidden_size" not in space[0]["relays__estimator"][0].get_params()
