"""The sktime classifiers: sktime's checks, panels, pipelines, tuning, benchmarks, and relays."""

import inspect

import numpy as np
import pandas as pd
import pytest
from conftest import CELLS, EQUAL, UNEQUAL, as_frames, cut_short, make_panel
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import KFold, PredefinedSplit, StratifiedKFold, cross_validate
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit
from sktime.base import load
from sktime.benchmarking import BenchmarkingResults
from sktime.benchmarking.classification import ClassificationBenchmark
from sktime.classification.dummy import DummyClassifier
from sktime.classification.model_selection import TSCGridSearchCV
from sktime.datasets import (
    load_basic_motions,
    load_italy_power_demand,
    load_japanese_vowels,
    load_unit_test,
)
from sktime.datatypes import convert
from sktime.exceptions import NotFittedError
from sktime.pipeline import make_pipeline
from sktime.transformations.adapt import TabularToSeriesAdaptor
from sktime.transformations.panel.truncation import TruncationTransformer
from sktime.utils.estimator_checks import check_estimator

from relayestimators import GRUClassifier, RelayAnalyzer, panel_to_tensor
from relayestimators.inspection import knockout_importance
from relayestimators.networks import RecurrentNetwork
from relayestimators.sktime import RelayGRUClassifier, RelayLSTMClassifier, RelayRNNClassifier

FACES = {"rnn": RelayRNNClassifier, "gru": RelayGRUClassifier, "lstm": RelayLSTMClassifier}


def small_face(**options):
    return RelayGRUClassifier(**{"hidden_size": 4, "max_epochs": 3, "random_state": 0} | options)


def as_mtype(X, mtype):
    return convert(as_frames(X), "df-list", mtype, as_scitype="Panel")


def ragged():
    X, y = make_panel()
    return cut_short(X, 4 + np.arange(len(X)) % 7), y


# ---------------------------------------------------------------- checks of sktime


@pytest.mark.filterwarnings("ignore")  # the checks themselves warn
@pytest.mark.parametrize(
    "cell",
    [
        "gru",
        pytest.param("rnn", marks=pytest.mark.slow),
        pytest.param("lstm", marks=pytest.mark.slow),
    ],
)
def test_check_estimator(cell):
    results = check_estimator(FACES[cell], raise_exceptions=True, verbose=False)
    assert len(results) > 200
    assert set(results.values()) == {"PASSED"}


# ---------------------------------------------------------------- the network inside


@pytest.mark.parametrize("cell", FACES)
def test_same_as_our_classifier_bit_for_bit(cell):
    X, y = make_panel()
    options = {"lr": 0.02, "max_epochs": 3, "batch_size": 8, "random_state": 3}
    module = {"hidden_size": 5, "num_layers": 2, "bidirectional": True, "dropout": 0.2}
    face = FACES[cell](**options, **module, net_params={"optimizer__weight_decay": 0.1})
    net = CELLS[cell](
        **options,
        **{f"module__{name}": value for name, value in module.items()},
        optimizer__weight_decay=0.1,
    )
    np.testing.assert_array_equal(face.fit(X, y).predict_proba(X), net.fit(X, y).predict_proba(X))
    np.testing.assert_array_equal(face.predict(X), net.predict(X))
    for ours, theirs in zip(net.module_.parameters(), face.net_.module_.parameters()):
        np.testing.assert_array_equal(ours.detach(), theirs.detach())


@pytest.mark.parametrize("cell", FACES)
def test_defaults_are_those_of_our_classifier(cell):
    net = CELLS[cell]().get_params(deep=False)
    module = inspect.signature(RecurrentNetwork).parameters
    for name, value in FACES[cell]().get_params().items():
        if name in module:
            assert value == module[name].default
        elif name != "net_params":
            assert value == net[name]


@pytest.mark.parametrize(
    ("name", "value", "inside"),
    [
        ("hidden_size", 3, "module__hidden_size"),
        ("num_layers", 2, "module__num_layers"),
        ("bidirectional", True, "module__bidirectional"),
        ("dropout", 0.3, "module__dropout"),
        ("nonlinearity", "relu", "module__nonlinearity"),
        ("lr", 0.5, "lr"),
        ("max_epochs", 1, "max_epochs"),
        ("batch_size", 7, "batch_size"),
        ("device", "cpu", "device"),
        ("verbose", 1, "verbose"),
        ("net_params", {"iterator_train__shuffle": False}, "iterator_train__shuffle"),
        ("random_state", 5, "random_state"),
    ],
)
def test_parameters_reach_the_net(name, value, inside):
    X, y = make_panel()
    face = RelayRNNClassifier(max_epochs=1).set_params(**{name: value}).fit(X, y)
    expected = value[inside] if name == "net_params" else value
    assert face.net_.get_params()[inside] == expected


def test_callbacks_work_and_are_not_changed():
    X, y = make_panel()
    stop = EarlyStopping(patience=1, threshold=10.0)
    split = ValidSplit(5, stratified=True)
    face = small_face(max_epochs=50, callbacks=[stop], net_params={"train_split": split})
    assert len(face.fit(X, y).net_.history) < 5
    assert face.callbacks == [stop]
    assert stop.dynamic_threshold_ is None


def test_set_params_clone_and_refit():
    X, y = make_panel()
    face = small_face().fit(X, y)
    other = face.clone().set_params(hidden_size=6)
    assert not other.is_fitted
    assert other.fit(X, y).net_.hidden_states(X).shape == (60, 10, 6)
    expected = face.predict_proba(X)
    np.testing.assert_array_equal(face.fit(X, y).predict_proba(X), expected)


def test_save_and_load(tmp_path):
    X, y = make_panel()
    face = small_face().fit(X, y)
    face.save(tmp_path / "face")
    for other in (load(tmp_path / "face.zip"), load(face.save())):
        np.testing.assert_array_equal(other.predict_proba(X), face.predict_proba(X))
        np.testing.assert_array_equal(
            other.find_relays(X, y).relay_map_, face.find_relays(X, y).relay_map_
        )


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"net_params": {"lr": 1.0, "module__dropout": 0.1}}, r"set the parameters \['lr', 'dro"),
        ({"net_params": {"max_epoch": 1}}, "unexpected argument.*max_epoch"),
    ],
)
def test_wrong_net_params(params, match):
    X, y = make_panel()
    with pytest.raises(ValueError, match=match):
        RelayRNNClassifier(**params).fit(X, y)


# ---------------------------------------------------------------- panels


@pytest.mark.parametrize(
    ("make", "mtype"),
    [(make_panel, mtype) for mtype in EQUAL] + [(ragged, mtype) for mtype in UNEQUAL],
)
def test_mtypes(make, mtype):
    X, y = make()
    converted = as_mtype(X, mtype)
    face = small_face().fit(converted, y)
    net = GRUClassifier(module__hidden_size=4, max_epochs=3, random_state=0).fit(X, y)
    np.testing.assert_array_equal(face.predict_proba(converted), net.predict_proba(X))
    by_hand = RelayAnalyzer(FrozenEstimator(net), random_state=0).fit(X, y)
    np.testing.assert_array_equal(face.find_relays(converted, y).relay_map_, by_hand.relay_map_)


def test_one_channel_as_table():
    X, y = make_panel()
    face = small_face().fit(X[:, 0], y)
    expected = small_face().fit(X[:, :1], y)
    np.testing.assert_array_equal(face.predict_proba(X[:, 0]), expected.predict_proba(X[:, :1]))
    assert face.find_relays(X[:, 0], y).relay_map_.shape == (3, 10, 4)


def test_padded_arrays_are_for_relays_only():
    X, y = ragged()
    with pytest.raises(ValueError, match="missing values"):
        small_face().fit(X, y)
    face = small_face().fit(as_frames(X), y)
    expected = face.find_relays(as_frames(X), y).relay_map_
    np.testing.assert_array_equal(face.find_relays(X, y).relay_map_, expected)


@pytest.mark.parametrize(
    "make",
    [list, pd.Series, lambda y: pd.DataFrame({"y": y}), lambda y: pd.Series(y, dtype="category")],
    ids=["list", "series", "frame", "category"],
)
def test_containers_of_labels(make):
    X, y = make_panel()
    face = small_face()
    face.fit(X, y if make is list else make(y))  # `fit` of sktime accepts no lists
    assert face.classes_.tolist() == ["high", "low", "mid"]
    relays = face.find_relays(X, make(y), n_relays=2)
    assert relays.error_rate_ == pytest.approx(1 - face.score(X, y))
    assert relays.classes_.tolist() == ["high", "low", "mid"]


@pytest.mark.parametrize(
    ("loader", "accuracy"),
    [(load_basic_motions, 0.6), (load_japanese_vowels, 0.8)],
)
def test_sets_of_sktime(loader, accuracy):
    face = RelayGRUClassifier(max_epochs=25, random_state=0).fit(*loader(split="train"))
    assert face.score(*loader(split="test")) > accuracy


# ---------------------------------------------------------------- relays


def test_relays_are_those_by_hand():
    (X_train, y_train), (X, y) = (load_italy_power_demand(split=s) for s in ("train", "test"))
    face = RelayLSTMClassifier(8, max_epochs=15, random_state=2).fit(X_train, y_train)
    options = {"timepoints": [10, -1], "n_relays": 3, "n_permutations": 5, "state": "c"}
    relays = face.find_relays(X, y, **options)
    by_hand = RelayAnalyzer(FrozenEstimator(face.net_), random_state=2, **options)
    by_hand.fit(panel_to_tensor(X), y)
    for name in ("relay_map_", "pvalues_", "ranking_", "coverage_"):
        np.testing.assert_array_equal(getattr(relays, name), getattr(by_hand, name))
    assert relays.estimator_.estimator is face.net_
    assert not relays.in_sample_
    assert relays.random_state == 2
    assert face.find_relays(X, y, timepoints=[0], random_state=4).random_state == 4


def test_series_end_where_they_end():
    X, y = ragged()
    face = small_face().fit(as_frames(X), y)
    relays = face.find_relays(as_frames(X), y, align="end", timepoints=[-1])
    np.testing.assert_array_equal(relays.n_instances_, [60])


def test_everything_else_works_on_the_net_inside():
    X, y = make_panel()
    face = small_face().fit(as_frames(X), y)
    tensor = panel_to_tensor(as_frames(X))
    relays = face.find_relays(as_frames(X), y, n_relays=2)
    assert relays.transform(tensor).shape == (60, 2)
    assert len(knockout_importance(face.net_, tensor, y, random_state=0).loss) == 4


def test_no_relays_without_a_net():
    X, y = make_panel()
    with pytest.raises(NotFittedError, match="has not been fitted yet"):
        small_face().find_relays(X, y)
    same = np.repeat("same", len(y))
    face = small_face().fit(X, same)  # sktime trains no classifier
    assert (face.predict(X) == same).all()
    with pytest.raises(ValueError, match="no network to find relays in"):
        face.find_relays(X, same)
    face.fit(X, pd.DataFrame({"a": y, "b": y[::-1]}))
    with pytest.raises(ValueError, match="several columns"):
        face.find_relays(X, y)
    assert face.classifiers_.iloc[0, 1].find_relays(X, y[::-1]).relay_map_.shape == (3, 10, 4)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        small_face().fit(X, y).find_relays(X, y[:5])


# ---------------------------------------------------------------- pipelines and searches


def test_pipelines():
    X, y = make_panel()
    first_half = TruncationTransformer(lower=0, upper=5)
    expected = small_face().fit(X[:, :, :5], y).predict_proba(X[:, :, :5])
    for pipeline in (make_pipeline(first_half, small_face()), first_half * small_face()):
        np.testing.assert_array_equal(pipeline.fit(X, y).predict_proba(X), expected)
        transformed = pipeline.transformers_.transform(X)
        relays = pipeline.classifier_.find_relays(transformed, y)
        assert relays.relay_map_.shape == (3, 5, 4)


def test_sklearn_transformer_in_front():
    X, y = ragged()
    frames = as_frames(X)
    scale = TabularToSeriesAdaptor(StandardScaler())  # scales every series separately
    scaled = panel_to_tensor(scale.fit_transform(frames))
    np.testing.assert_allclose(np.nanmean(scaled, axis=2), 0, atol=1e-6)
    pipeline = make_pipeline(TabularToSeriesAdaptor(StandardScaler()), small_face())
    net = GRUClassifier(module__hidden_size=4, max_epochs=3, random_state=0).fit(scaled, y)
    np.testing.assert_array_equal(
        pipeline.fit(frames, y).predict_proba(frames), net.predict_proba(scaled)
    )


@pytest.mark.parametrize("make", [make_panel, ragged])
def test_grid_search(make):
    X, y = make()
    frames = as_mtype(X, "nested_univ")
    cv = StratifiedKFold(3)
    search = TSCGridSearchCV(small_face(), {"hidden_size": [2, 4], "lr": [0.01, 0.1]}, cv=cv)
    search.fit(frames, y)
    scores = [
        GRUClassifier(max_epochs=3, random_state=0, lr=0.1, module__hidden_size=4)
        .fit(X[train], y[train])
        .score(X[test], y[test])
        for train, test in cv.split(X, y)
    ]
    assert search.cv_results_["mean_test_score"][3] == pytest.approx(np.mean(scores))
    assert search.predict(frames).shape == (60,)
    assert search.best_estimator_.find_relays(frames, y).relay_map_.shape[:2] == (3, 10)


def test_grid_search_over_a_pipeline():
    X, y = make_panel()
    pipeline = TruncationTransformer(lower=0) * small_face()
    grid = {"classifier__hidden_size": [2, 4], "TruncationTransformer__upper": [3, 10]}
    search = TSCGridSearchCV(pipeline, grid, cv=KFold(3)).fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    net = search.best_estimator_.classifier_.net_
    assert net.get_params()["module__hidden_size"] == search.best_params_["classifier__hidden_size"]


def test_each_face_has_its_own_home():
    """docs/compatibility.md describes these limits, which the pinned libraries have."""
    X, y = make_panel()
    net = GRUClassifier(module__hidden_size=4, max_epochs=3, random_state=0)
    with pytest.raises(AttributeError, match="clone"):
        TSCGridSearchCV(net, {"lr": [0.01, 0.1]}, cv=KFold(2)).fit(X, y)
    with pytest.raises(TypeError, match="not iterable"):
        ClassificationBenchmark().add_estimator(net)
    with pytest.raises(AttributeError, match="__sklearn_tags__"):
        cross_validate(small_face(), X, y, cv=2)
    with pytest.raises(TypeError, match="RelayGRUClassifier has no hidden states"):
        RelayAnalyzer(small_face()).fit(X, y)
    with pytest.raises(TypeError, match="X must be in an sktime compatible format"):
        small_face().fit(X.tolist(), y)
    # sktime makes a table of the panel, in which the channels become one long series.
    pipeline = (TruncationTransformer(lower=0, upper=5) * net).fit(X, y)
    table = X[:, :, :5].reshape(60, 10)
    np.testing.assert_array_equal(pipeline.predict(X), net.fit(table, y).predict(table))
    assert pipeline.classifier_.n_features_in_ == 10


# ---------------------------------------------------------------- benchmarks


def official_split(loader):
    """Return both parts of a data set in one panel, and the split into these parts."""
    (X_train, y_train), (X_test, y_test) = (loader(split=part) for part in ("train", "test"))
    data = (
        pd.concat([X_train, X_test], ignore_index=True),
        np.concatenate([y_train, y_test]),
    )
    return data, PredefinedSplit(np.repeat([-1, 0], [len(y_train), len(y_test)]))


def make_benchmark(*loaders):
    benchmark = ClassificationBenchmark()
    benchmark.add_estimator({"face": small_face(), "dummy": DummyClassifier()})
    scorers = [accuracy_score, balanced_accuracy_score]
    for loader in loaders:
        benchmark.add_task(*official_split(loader), scorers, task_id=loader.__name__)
    return benchmark


# A single fold has no standard deviation.
one_fold = pytest.mark.filterwarnings(
    "ignore:Degrees of freedom:RuntimeWarning", "ignore:invalid value:RuntimeWarning"
)


@one_fold
def test_benchmark_on_official_splits():
    loaders = (load_unit_test, load_japanese_vowels)
    benchmark = make_benchmark(*loaders)
    table = benchmark.run()
    assert benchmark.failed_experiments == []
    assert len(table) == 4
    scores = table.set_index(["validation_id", "model_id"])["accuracy_score_mean"]
    for loader in loaders:
        face = small_face().fit(*loader(split="train"))
        assert scores[loader.__name__, "face"] == face.score(*loader(split="test"))


@one_fold
@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_benchmark_files(suffix, tmp_path):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"results.{suffix}"
    table = make_benchmark(load_unit_test).run(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    for again in (BenchmarkingResults(path).to_df(), make_benchmark(load_unit_test).run(path)):
        order = {"by": "model_id", "ignore_index": True}
        pd.testing.assert_frame_equal(again.sort_values(**order), table.sort_values(**order))


@pytest.mark.slow
def test_benchmark_in_folds_with_two_workers():
    tables = []
    for options in ({}, {"backend": "loky", "backend_params": {"n_jobs": 2}}):
        benchmark = ClassificationBenchmark(**options)
        benchmark.add_estimator(small_face())
        benchmark.add_task(load_unit_test, KFold(3, shuffle=True, random_state=0), [accuracy_score])
        tables.append(benchmark.run().filter(like="accuracy"))
    pd.testing.assert_frame_equal(*tables)
    assert tables[0].shape == (1, 5)


def test_benchmark_hides_what_failed():
    """A benchmark goes on after an error, so `failed_experiments` has to be checked."""
    benchmark = ClassificationBenchmark()
    benchmark.add_estimator({"good": small_face(), "bad": small_face(hidden_size=-1)})
    benchmark.add_task(load_unit_test, KFold(2), [accuracy_score])
    assert benchmark.run()["model_id"].tolist() == ["good"]
    assert [failed.model_id for failed in benchmark.failed_experiments] == ["bad"]
