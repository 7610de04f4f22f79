"""Tools of scikit-learn, around and after our estimators, give the results computed by hand.

The conventions of single estimators are tested in test_contract.py, other classifiers around ours
and metadata in test_with_sklearn_metadata.py.
"""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from conftest import CELLS, make_panel, small_net
from scipy.stats import randint
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (adds HalvingGridSearchCV)
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, make_scorer, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from relayestimators import (
    GRUClassifier,
    KnockoutTransformer,
    PanelToTensor,
    RelayAnalyzer,
    RNNClassifier,
    StateDiscretizer,
)
from relayestimators.inspection import (
    knockout_importance,
    localization_scorer,
    relay_strength_scorer,
    specificity_scorer,
)

FOLDS = StratifiedKFold(3)


def analyzer(**options):
    return RelayAnalyzer(small_net(), **({"n_relays": 2, "random_state": 0} | options))


def knockout(**options):
    return KnockoutTransformer(small_net(), **({"nodes": [0, 2]} | options))


@pytest.fixture(scope="module")
def data():
    return make_panel(n_instances=90)


@pytest.fixture(scope="module")
def net(data):
    return small_net().fit(*data)


@pytest.fixture(scope="module")
def table():
    """One channel as a DataFrame with names and an index."""
    X, y = make_panel(n_instances=90)
    names = [f"t{step}" for step in range(10)]
    return pd.DataFrame(X[:, 0], columns=names, index=[f"case{i}" for i in range(90)]), y


def by_hand(estimator, X, y, score, cv=FOLDS):
    """Return the scores, on the test parts, of clones trained on the training parts."""
    return [
        score(clone(estimator).fit(X[train], y[train]), X[test], y[test])
        for train, test in cv.split(X, y)
    ]


# ---------------------------------------------------------------- pipelines and unions


def test_a_pipeline_is_its_steps_one_after_the_other(data):
    X, y = data
    pipeline = make_pipeline(PanelToTensor(), analyzer(), LogisticRegression()).fit(X, y)
    relays = analyzer().fit(X, y)
    last = LogisticRegression().fit(relays.transform(X), y)
    np.testing.assert_array_equal(
        pipeline.predict_proba(X), last.predict_proba(relays.transform(X))
    )
    assert pipeline.n_features_in_ == 2
    assert pipeline.score(X, y) > 0.8


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_union_is_its_parts_side_by_side(data, n_jobs):
    X, y = data
    parts = analyzer(), knockout(), knockout(output="proba")
    union = make_union(*parts, n_jobs=n_jobs).fit(X, y)
    expected = np.hstack([part.fit(X, y).transform(X) for part in parts])
    np.testing.assert_array_equal(union.transform(X), expected)
    names = union.get_feature_names_out()
    assert len(names) == expected.shape[1] == 2 + 6 + 3
    assert names[2] == "knockouttransformer-1__node0"
    assert names[-1] == "knockouttransformer-2__proba_mid"
    np.testing.assert_array_equal(union.get_feature_names_out(["channel0", "channel1"]), names)


def test_a_knockout_ends_a_pipeline_as_a_classifier(data, net):
    X, y = data
    pipeline = make_pipeline(PanelToTensor(), knockout()).fit(X, y)
    unwrapped = knockout().fit(X, y)
    np.testing.assert_array_equal(pipeline.predict_proba(X), unwrapped.predict_proba(X))
    np.testing.assert_array_equal(pipeline.classes_, net.classes_)


def test_trajectories_discretized_in_a_pipeline(data, net):
    X, y = data
    pipeline = make_pipeline(
        FunctionTransformer(net.hidden_states, feature_names_out=lambda *_: np.array(["hidden"])),
        StateDiscretizer(3),
        FunctionTransformer(lambda states: states.reshape(len(states), -1)),
        LogisticRegression(),
    ).fit(X, y)
    states = StateDiscretizer(3).fit_transform(net.hidden_states(X)).reshape(90, -1)
    expected = LogisticRegression().fit(states, y).predict_proba(states)
    np.testing.assert_array_equal(pipeline.predict_proba(X), expected)


def test_channels_chosen_before_a_net_and_columns_of_a_table(data, table):
    X, y = data
    first = FunctionTransformer(lambda X: X[:, :1])
    np.testing.assert_array_equal(
        make_pipeline(first, small_net()).fit(X, y).predict_proba(X),
        small_net().fit(X[:, :1], y).predict_proba(X[:, :1]),
    )
    frame, y = table
    early, late = frame.columns[:5].tolist(), frame.columns[5:].tolist()
    columns = ColumnTransformer([("early", analyzer(), early), ("late", knockout(), late)])
    expected = np.hstack(
        [
            analyzer().fit(frame[early], y).transform(frame[early]),
            knockout().fit(frame[late], y).transform(frame[late]),
        ]
    )
    np.testing.assert_array_equal(columns.fit(frame, y).transform(frame), expected)
    assert columns.get_feature_names_out()[-1] == "late__node5"


@pytest.mark.parametrize("tool", [RelayAnalyzer, KnockoutTransformer])
def test_memory_of_a_pipeline_spares_the_training(data, tool, tmp_path, monkeypatch):
    X, y = data
    calls = []
    fit = GRUClassifier.fit
    monkeypatch.setattr(
        GRUClassifier, "fit", lambda self, X, y: calls.append(len(X)) or fit(self, X, y)
    )
    pipeline = make_pipeline(tool(small_net()), LogisticRegression(), memory=str(tmp_path))
    first = pipeline.fit(X, y).predict_proba(X)
    again = clone(pipeline).set_params(logisticregression__C=1.0).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), first)
    assert calls == [90]
    again.set_params(**{f"{tool.__name__.lower()}__estimator__lr": 0.02}).fit(X, y)
    assert calls == [90, 90]


# ---------------------------------------------------------------- output containers, names


def test_pandas_output_through_a_whole_pipeline(data):
    X, y = data
    union = make_union(analyzer(), knockout())
    steps = make_pipeline(PanelToTensor(), union, StandardScaler()).fit(X, y)
    expected = steps.transform(X)
    frame = steps.set_output(transform="pandas").fit(X, y).transform(X)
    np.testing.assert_array_equal(frame, expected)
    assert frame.columns.tolist() == steps.get_feature_names_out().tolist()
    assert frame.columns[-1] == "knockouttransformer__node5"
    with sklearn.config_context(transform_output="pandas"):
        fresh = clone(steps).set_output(transform=None).fit(X, y)
        pd.testing.assert_frame_equal(fresh.transform(X), frame)


def test_pandas_output_keeps_the_index_of_a_table(table):
    frame, y = table
    for tool in (analyzer(), knockout(output="logits")):
        out = tool.set_output(transform="pandas").fit(frame, y).transform(frame)
        assert out.index.tolist() == frame.index.tolist()
        assert tool.feature_names_in_.tolist() == frame.columns.tolist()
        assert out.columns.tolist() == tool.get_feature_names_out(frame.columns).tolist()
        with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
            tool.get_feature_names_out(frame.columns[::-1])
        with pytest.raises(ValueError, match="feature names should match"):
            tool.transform(frame[frame.columns[::-1]])
        assert not hasattr(tool.fit(frame.to_numpy(), y), "feature_names_in_")
        with pytest.raises(ValueError, match="input_features should have length equal to.*10"):
            tool.get_feature_names_out(["t0"])


def test_names_pass_through_a_scaler(table):
    frame, y = table
    pipeline = make_pipeline(StandardScaler(), knockout()).set_output(transform="pandas")
    pipeline.fit(frame, y)
    assert pipeline[-1].feature_names_in_.tolist() == frame.columns.tolist()
    scaled = StandardScaler().set_output(transform="pandas").fit_transform(frame)
    expected = knockout().fit(scaled, y).predict_proba(scaled)
    np.testing.assert_array_equal(pipeline.predict_proba(frame), expected)


# ---------------------------------------------------------------- searches

SEARCHES = {
    "relays in a pipeline": (
        make_pipeline(analyzer(), LogisticRegression()),
        {"relayanalyzer__n_relays": [1, 3]},
        accuracy_score,
    ),
    "knocked-out nodes": (
        knockout(),
        {"nodes": [None, [1, 2], list(range(6))]},
        accuracy_score,
    ),
    "a net in a knockout": (
        knockout(),
        {"estimator__module__hidden_size": [4, 6], "estimator__optimizer__weight_decay": [0, 0.1]},
        accuracy_score,
    ),
    "relay_strength_scorer of analyzers": (
        analyzer(),
        {"estimator__lr": [0.05, 0.001], "method": ["throughput", "single"]},
        relay_strength_scorer,
    ),
    "localization_scorer of nets": (
        small_net(),
        {"module__hidden_size": [4, 8]},
        partial(localization_scorer, timepoints=[5, 9]),
    ),
    "specificity_scorer behind a panel": (
        make_pipeline(PanelToTensor(), small_net(RNNClassifier)),
        {"rnnclassifier__max_epochs": [3, 8]},
        partial(specificity_scorer, n_relays=2, start=4),
    ),
}


def scorer_of(metric):
    """Return a metric of labels as a function (estimator, X, y), and a scorer unchanged."""
    if metric is accuracy_score:
        return lambda estimator, X, y: accuracy_score(y, estimator.predict(X))
    return metric


@pytest.mark.parametrize("name", SEARCHES)
def test_grid_search_is_a_loop_over_parameters_and_folds(name, data):
    X, y = data
    estimator, grid, metric = SEARCHES[name]
    scoring = "accuracy" if metric is accuracy_score else metric
    search = GridSearchCV(estimator, grid, scoring=scoring, cv=FOLDS, error_score="raise")
    search.fit(X, y)
    for params, mean in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"]):
        scores = by_hand(clone(estimator).set_params(**params), X, y, scorer_of(metric))
        assert mean == pytest.approx(np.mean(scores), abs=1e-12)
    best = clone(estimator).set_params(**search.best_params_).fit(X, y)
    assert search.score(X, y) == pytest.approx(scorer_of(metric)(best, X, y), abs=1e-12)
    assert len(set(search.cv_results_["mean_test_score"])) > 1


@pytest.mark.parametrize("name", ["relays in a pipeline", "relay_strength_scorer of analyzers"])
def test_two_workers_find_the_same(name, data):
    X, y = data
    estimator, grid, metric = SEARCHES[name]
    scoring = "accuracy" if metric is accuracy_score else metric
    options = {"scoring": scoring, "cv": FOLDS, "error_score": "raise"}
    serial, parallel = (
        GridSearchCV(estimator, grid, n_jobs=n_jobs, **options).fit(X, y) for n_jobs in (None, 2)
    )
    for key in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(parallel.cv_results_[key], serial.cv_results_[key])


def test_a_search_distinguishes_the_intact_network_from_one_without_nodes(data):
    X, y = data
    grid = {"nodes": [None, list(range(6))]}
    scores = GridSearchCV(knockout(), grid, cv=FOLDS).fit(X, y).cv_results_["mean_test_score"]
    assert scores[0] > scores[1] + 0.2
    assert scores[1] == pytest.approx(1 / 3, abs=0.05)  # the same prediction for all


def test_randomized_search_with_several_scorers(data):
    X, y = data
    search = RandomizedSearchCV(
        analyzer(),
        {"n_relays": randint(1, 5), "estimator__module__hidden_size": [5, 6]},
        n_iter=3,
        scoring={"relays": relay_strength_scorer, "spread": localization_scorer},
        refit="relays",
        cv=FOLDS,
        random_state=0,
    ).fit(X, y)
    found = search.cv_results_
    best = clone(analyzer()).set_params(**search.best_params_)
    for name, score in (("relays", relay_strength_scorer), ("spread", localization_scorer)):
        expected = np.mean(by_hand(best, X, y, score))
        assert found[f"mean_test_{name}"][search.best_index_] == pytest.approx(expected, abs=1e-12)
    assert search.best_score_ == found["mean_test_relays"].max()
    assert search.best_estimator_.relay_map_.shape[1] == 10
    assert search.transform(X).shape == (90, search.best_params_["n_relays"])


def test_halving_search_over_instances_and_over_epochs(data):
    X, y = data
    options = {"factor": 2, "cv": FOLDS, "random_state": 0}
    grid = {"module__hidden_size": [2, 3, 6, 8]}
    instances = HalvingGridSearchCV(small_net(), grid, min_resources=30, **options).fit(X, y)
    assert instances.n_resources_ == [30, 60]
    assert instances.n_candidates_ == [4, 2]
    epochs = HalvingGridSearchCV(
        knockout(nodes=[1]),
        {f"estimator__{name}": values for name, values in grid.items()},
        resource="estimator__max_epochs",
        min_resources=2,
        max_resources=8,
        scoring="accuracy",
        **options,
    ).fit(X, y)
    assert epochs.n_resources_ == [2, 4, 8]
    last = epochs.cv_results_["iter"] == 2
    params = epochs.cv_results_["params"][int(np.flatnonzero(last)[0])]
    assert params["estimator__max_epochs"] == 8
    expected = by_hand(knockout(nodes=[1]).set_params(**params), X, y, scorer_of(accuracy_score))
    found = epochs.cv_results_["mean_test_score"][last][0]
    assert found == pytest.approx(np.mean(expected), abs=1e-12)


TOOLS = {
    "net": (small_net(), "lr", [0.01, 0.05], "max_epochs", accuracy_score),
    "analyzer": (analyzer(), "timepoints", [4, 9], "estimator__max_epochs", relay_strength_scorer),
    "knockout": (knockout(), "nodes", [[1], [0, 2, 4]], "estimator__max_epochs", accuracy_score),
}


@pytest.mark.parametrize("name", TOOLS)
def test_all_go_through_all_searches_and_curves(name, data):
    X, y = data
    estimator, param, values, epochs, metric = TOOLS[name]
    scoring = "accuracy" if metric is accuracy_score else metric
    options = {"cv": FOLDS, "scoring": scoring, "error_score": "raise"}

    def score(**params):
        return by_hand(clone(estimator).set_params(**params), X, y, scorer_of(metric))

    expected = [score(**{param: value}) for value in values]
    curve = {"param_name": param, "param_range": values}
    np.testing.assert_allclose(validation_curve(estimator, X, y, **curve, **options)[1], expected)
    sizes = learning_curve(estimator, X, y, train_sizes=[30, 60], **options)[2]
    np.testing.assert_allclose(sizes[1], score())
    assert not np.array_equal(sizes[0], sizes[1])
    search = RandomizedSearchCV(estimator, {param: values}, n_iter=2, random_state=0, **options)
    found = search.fit(X, y).cv_results_
    for tried, mean in zip(found["params"], found["mean_test_score"]):
        assert mean == pytest.approx(np.mean(expected[values.index(tried[param])]))
    resource = {"resource": epochs, "min_resources": 2, "max_resources": 4, "factor": 2}
    halving = HalvingGridSearchCV(estimator, {param: values}, **resource, **options).fit(X, y)
    assert halving.n_candidates_ == [2, 1]
    assert halving.cv_results_["params"][-1][epochs] == 4
    last = np.mean(score(**halving.cv_results_["params"][-1]))
    assert halving.cv_results_["mean_test_score"][-1] == pytest.approx(last)


def test_frozen_nets_go_through_clones_searches_and_workers(data, net):
    X, y = data
    frozen = FrozenEstimator(net)
    for tool in (RelayAnalyzer(frozen, random_state=0), KnockoutTransformer(frozen, nodes=[0])):
        assert clone(tool).estimator.estimator is net
        assert clone(make_pipeline(tool)).fit(X, y)[-1].estimator_.estimator is net
        with pytest.raises(ValueError, match="cannot set parameters of the inner estimator"):
            tool.set_params(estimator__lr=0.1)
    weights = {name: tensor.clone() for name, tensor in net.module_.state_dict().items()}
    grid = {"nodes": [None, [0], [1, 2, 3, 4]]}
    search = GridSearchCV(KnockoutTransformer(frozen), grid, cv=FOLDS, n_jobs=2).fit(X, y)
    intact = [net.score(X[test], y[test]) for _, test in FOLDS.split(X, y)]
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(np.mean(intact))
    assert all(torch.equal(net.module_.state_dict()[name], weights[name]) for name in weights)
    ready = FrozenEstimator(RelayAnalyzer(frozen, n_relays=3, random_state=0).fit(X, y))
    kept = make_pipeline(ready, LogisticRegression()).fit(X[:60], y[:60])
    assert kept[0].relays().tolist() == ready.relays().tolist()
    scores = cross_validate(frozen, X, y, cv=FOLDS, scoring=relay_strength_scorer)["test_score"]
    expected = [relay_strength_scorer(net, X[test], y[test]) for _, test in FOLDS.split(X, y)]
    np.testing.assert_allclose(scores, expected)


# ---------------------------------------------------------------- model evaluation


def test_cross_validate_with_several_scorers(data):
    X, y = data
    later = partial(relay_strength_scorer, timepoints=[8, 9], concepts="class")
    scoring = {
        "accuracy": "accuracy",
        "f1": "f1_macro",
        "auc": "roc_auc_ovr",
        "relays": relay_strength_scorer,
        "later": later,
        "localization": localization_scorer,
        "specificity": specificity_scorer,
    }
    references = {
        "accuracy": scorer_of(accuracy_score),
        "f1": lambda net, X, y: f1_score(y, net.predict(X), average="macro"),
        "auc": lambda net, X, y: roc_auc_score(y, net.predict_proba(X), multi_class="ovr"),
        "relays": relay_strength_scorer,
        "later": later,
        "localization": localization_scorer,
        "specificity": specificity_scorer,
    }
    result = cross_validate(
        small_net(), X, y, cv=FOLDS, scoring=scoring, return_estimator=True, return_indices=True
    )
    for name, score in references.items():
        expected = [
            score(fitted, X[test], y[test])
            for fitted, test in zip(result["estimator"], result["indices"]["test"])
        ]
        np.testing.assert_allclose(result[f"test_{name}"], expected, rtol=1e-12)
    np.testing.assert_allclose(
        result["test_relays"], by_hand(small_net(), X, y, relay_strength_scorer)
    )


def test_folds_are_stratified_where_there_is_something_to_predict(data):
    X, y = data
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    for tool in (small_net(), knockout()):
        assert np.isfinite(cross_validate(tool, X, y, cv=3)["test_score"]).all()
    # an analyzer is not a classifier, like all selectors of scikit-learn
    with pytest.raises(ValueError, match=r"y contains \['high'\]"):
        cross_validate(analyzer(), X, y, cv=3, scoring=relay_strength_scorer, error_score="raise")
    scores = cross_validate(analyzer(), X, y, cv=FOLDS, scoring=relay_strength_scorer)["test_score"]
    np.testing.assert_allclose(scores, by_hand(analyzer(), X, y, relay_strength_scorer))


@pytest.mark.parametrize("cell", CELLS)
def test_cross_val_predict(cell, data):
    X, y = data
    for estimator in (small_net(CELLS[cell]), KnockoutTransformer(small_net(CELLS[cell]), [1])):
        found = cross_val_predict(estimator, X, y, cv=FOLDS, method="predict_proba")
        expected = np.empty_like(found)
        for train, test in FOLDS.split(X, y):
            expected[test] = clone(estimator).fit(X[train], y[train]).predict_proba(X[test])
        np.testing.assert_array_equal(found, expected)


def test_learning_curve(data):
    X, y = data
    sizes, train, test = learning_curve(
        knockout(), X, y, train_sizes=[30, 60], cv=FOLDS, scoring="accuracy"
    )
    assert sizes.tolist() == [30, 60]
    for k, size in enumerate(sizes):
        for fold, (rows, held_out) in enumerate(FOLDS.split(X, y)):
            rows = rows[:size]
            fitted = knockout().fit(X[rows], y[rows])
            assert train[k, fold] == pytest.approx(fitted.score(X[rows], y[rows]))
            assert test[k, fold] == pytest.approx(fitted.score(X[held_out], y[held_out]))


def test_incremental_learning_curve_goes_on_with_partial_fit(data):
    X, y = data
    options = {"train_sizes": [20, 60], "cv": FOLDS, "scoring": "neg_log_loss"}
    _, _, found = learning_curve(small_net(), X, y, exploit_incremental_learning=True, **options)
    for fold, (rows, held_out) in enumerate(FOLDS.split(X, y)):
        growing = small_net()
        for k, part in enumerate((rows[:20], rows[20:])):
            growing.partial_fit(X[part], y[part], classes=np.unique(y))
            proba = growing.predict_proba(X[held_out])
            truth = proba[np.arange(len(held_out)), np.searchsorted(growing.classes_, y[held_out])]
            assert found[k, fold] == pytest.approx(np.log(truth).mean(), rel=1e-5)


def test_validation_curve_of_relays_over_time(data):
    X, y = data
    _, found = validation_curve(
        analyzer(),
        X,
        y,
        param_name="timepoints",
        param_range=[0, 5, 9],
        cv=FOLDS,
        scoring=relay_strength_scorer,
    )
    expected = [by_hand(analyzer(timepoints=t), X, y, relay_strength_scorer) for t in (0, 5, 9)]
    np.testing.assert_allclose(found, expected)
    assert found[2].mean() > found[0].mean()  # evidence accumulates


@pytest.mark.parametrize("make", [small_net, knockout])
def test_permutation_importance_of_the_time_steps_of_a_table(make, table):
    frame, y = table
    net = make().fit(frame, y)
    found = permutation_importance(net, frame, y, n_repeats=3, random_state=0)
    rng = np.random.RandomState(np.random.RandomState(0).randint(np.iinfo(np.int32).max + 1))
    shuffled, order = frame.copy(), np.arange(90)
    for repeat in range(3):
        rng.shuffle(order)
        shuffled["t9"] = shuffled["t9"].to_numpy()[order]
        loss = net.score(frame, y) - net.score(shuffled, y)
        assert found.importances[9, repeat] == pytest.approx(loss)
    with pytest.raises(ValueError, match="dim 3"):  # a limit of scikit-learn
        permutation_importance(net, frame.to_numpy()[:, None], y)


def test_scorers_of_sklearn_in_studies(data, net):
    X, y = data
    f1 = make_scorer(f1_score, average="macro")
    found = knockout_importance(net, X, y, groups=[[0], [1, 2]], scoring=f1)
    for group, loss in zip(([0], [1, 2]), found.importances_mean):
        ablated = KnockoutTransformer(FrozenEstimator(net), group).fit(X)
        expected = f1_score(y, net.predict(X), average="macro")
        expected -= f1_score(y, ablated.predict(X), average="macro")
        assert loss == pytest.approx(expected, abs=1e-6)
