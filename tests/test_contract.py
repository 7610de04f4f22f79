"""The promises of scikit-learn, kept by every estimator.

scikit-learn's own checks feed two-dimensional input and are nearly empty for what takes three
dimensions only, so the second half is a list of our own.
"""

import copy
import pickle

import joblib
import numpy as np
import pytest
from conftest import CELLS, cut_short, make_panel
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from test_panels import as_frames

from relayestimators import (
    GRUClassifier,
    KnockoutTransformer,
    PanelToTensor,
    RelayAnalyzer,
    RNNClassifier,
    StateDiscretizer,
)

# Skipped by scikit-learn itself unless the environment variable SCIPY_ARRAY_API is set.
SKIPPED = {"check_array_api_input"}


def assert_clean(estimator):
    results = check_estimator(estimator, on_fail=None)
    failed = [r for r in results if r["status"] != "passed" and r["check_name"] not in SKIPPED]
    assert not failed, "\n".join(f"{r['check_name']}: {r['exception']!r}" for r in failed)
    assert len(results) > 40


@pytest.mark.filterwarnings("ignore")  # the checks themselves warn
@pytest.mark.parametrize("cell", CELLS)
def test_check_estimator_on_classifiers(cell):
    assert_clean(CELLS[cell](max_epochs=40))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tool", [RelayAnalyzer, KnockoutTransformer])
def test_check_estimator_on_tools(tool):
    net = RNNClassifier(max_epochs=10, module__hidden_size=8)
    options = {"nodes": [1, 3]} if tool is KnockoutTransformer else {"random_state": 0}
    net.set_params(random_state=0)
    assert_clean(tool(net, **options))


# ---------------------------------------------------------------- our own, in three dimensions


def small_net(**options):
    return GRUClassifier(
        **({"module__hidden_size": 6, "max_epochs": 5, "random_state": 0} | options)
    )


ESTIMATORS = {
    "classifier": small_net(),
    "analyzer": RelayAnalyzer(small_net(), random_state=0, n_relays=2),
    "knockout": KnockoutTransformer(small_net(), nodes=[0, 2]),
    "panel": PanelToTensor(),
}


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    return clone(ESTIMATORS[request.param])


def answers(estimator, X):
    """Everything an estimator says of a panel, in one array."""
    methods = ("transform", "predict_proba", "hidden_states")
    said = [getattr(estimator, name)(X) for name in methods if hasattr(estimator, name)]
    return np.concatenate([np.asarray(array).reshape(len(array), -1) for array in said], axis=1)


def test_fit_is_idempotent_and_returns_itself(estimator):
    X, y = make_panel()
    assert estimator.fit(X, y) is estimator
    before = answers(estimator, X)
    np.testing.assert_array_equal(answers(estimator.fit(X, y), X), before)
    np.testing.assert_array_equal(answers(clone(estimator).fit(X, y), X), before)


def test_input_is_not_changed(estimator):
    X, y = make_panel()
    X = cut_short(X, 5 + np.arange(60) % 6)
    X_before, y_before = X.copy(), y.copy()
    answers(estimator.fit(X, y), X)
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(y, y_before)
    X.setflags(write=False)
    y.setflags(write=False)
    answers(estimator.fit(X, y), X)


def test_number_types_do_not_matter(estimator):
    X, y = make_panel()
    X = np.round(X)
    expected = answers(estimator.fit(X, y), X)
    for dtype in (np.float64, np.int64, np.float16):
        converted = X.astype(dtype)
        np.testing.assert_array_equal(answers(estimator.fit(converted, y), converted), expected)


def test_one_instance_and_one_time_step(estimator):
    X, y = make_panel()
    estimator.fit(X, y)
    np.testing.assert_allclose(answers(estimator, X)[:1], answers(estimator, X[:1]), atol=1e-6)
    estimator.fit(X[:, :, :1], y)
    assert len(answers(estimator, X[:, :, :1])) == 60


def test_refit_with_another_shape(estimator):
    X, y = make_panel()
    estimator.fit(X, y)
    wide, labels = make_panel(n_channels=4, n_timepoints=7)
    expected = answers(clone(estimator).fit(wide, labels), wide)
    np.testing.assert_array_equal(answers(estimator.fit(wide, labels), wide), expected)


def test_order_of_instances_does_not_matter_afterwards(estimator):
    X, y = make_panel()
    estimator.fit(X, y)
    order = np.random.default_rng(0).permutation(60)
    np.testing.assert_allclose(
        answers(estimator, X[order]), answers(estimator, X)[order], atol=1e-6
    )


def test_pickle_joblib_and_copies(estimator, tmp_path):
    X, y = make_panel()
    expected = answers(estimator.fit(X, y), X)
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    for other in (
        pickle.loads(pickle.dumps(estimator)),
        copy.deepcopy(estimator),
        joblib.load(tmp_path / "estimator.joblib"),
    ):
        np.testing.assert_array_equal(answers(other, X), expected)


def test_unfitted_says_so(estimator):
    X, _ = make_panel()
    for name in ("transform", "predict", "predict_proba", "hidden_states"):
        if hasattr(estimator, name):
            with pytest.raises(NotFittedError):
                getattr(estimator, name)(X)


def test_constructor_only_stores(estimator):
    params = estimator.get_params(deep=False)
    again = clone(estimator).get_params(deep=False)
    assert params.keys() == again.keys()
    public = {name for name in vars(estimator) if not name.startswith("_")}
    assert public <= set(params)


def test_wrong_number_of_channels(estimator):
    X, y = make_panel()
    estimator.fit(X, y)
    with pytest.raises(ValueError, match="[Xx] has 1 (channels|features).*2"):
        answers(estimator, X[:, :1])


def test_nested_panels(estimator):
    X, y = make_panel()
    X = cut_short(X, 5 + np.arange(60) % 6)
    expected = answers(estimator.fit(X, y), X)
    frames = as_frames(X)
    np.testing.assert_array_equal(answers(estimator.fit(frames, y), frames), expected)


def test_repr_is_readable(estimator):
    assert type(estimator).__name__ in repr(estimator)


# ---------------------------------------------------------------- pipelines and searches


def test_tags():
    assert is_classifier(small_net())
    assert is_classifier(KnockoutTransformer(small_net()))
    assert not is_classifier(RelayAnalyzer(small_net()))


def test_relays_in_a_pipeline():
    X, y = make_panel(n_instances=90)
    pipeline = make_pipeline(
        PanelToTensor(),
        RelayAnalyzer(small_net(max_epochs=20), n_relays=3, random_state=0),
        LogisticRegression(),
    )
    assert pipeline.fit(as_frames(X), y).score(as_frames(X), y) > 0.9
    assert len(pipeline[:-1].get_feature_names_out()) == 3
    frame = pipeline[:-1].set_output(transform="pandas").transform(X)
    assert frame.columns.tolist() == pipeline[:-1].get_feature_names_out().tolist()
    scores = cross_validate(pipeline, X, y, cv=3, error_score="raise")["test_score"]
    assert scores.mean() > 0.8


def test_knockouts_in_a_pipeline():
    X, y = make_panel(n_instances=90)
    last = make_pipeline(PanelToTensor(), KnockoutTransformer(small_net(max_epochs=20), nodes=[0]))
    assert last.fit(X, y).predict(X).shape == (90,)
    assert last.predict_proba(X).shape == (90, 3)
    features = make_pipeline(KnockoutTransformer(small_net(), nodes=[0]), LogisticRegression())
    assert features.fit(X, y).score(X, y) > 0.8


SEARCHES = {
    "n_relays": (
        make_pipeline(RelayAnalyzer(small_net(), random_state=0), LogisticRegression()),
        {"relayanalyzer__n_relays": [1, 3]},
    ),
    "nodes": (KnockoutTransformer(small_net()), {"nodes": [None, [0], [1, 2], list(range(6))]}),
    "hidden_size": (small_net(), {"module__hidden_size": [4, 8], "lr": [0.01, 0.001]}),
    "nested hidden_size": (
        KnockoutTransformer(small_net(), nodes=[0]),
        {"estimator__module__hidden_size": [4, 8]},
    ),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_grid_search_with_two_workers(name):
    estimator, grid = SEARCHES[name]
    X, y = make_panel(n_instances=90)
    options = {"cv": 3, "error_score": "raise"}
    parallel = GridSearchCV(estimator, grid, n_jobs=2, **options).fit(X, y)
    serial = GridSearchCV(estimator, grid, **options).fit(X, y)
    for key in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(parallel.cv_results_[key], serial.cv_results_[key])
    assert parallel.best_score_ > 0.5
    assert parallel.predict(X).shape == (90,)


def test_knockout_search_tells_the_intact_net_from_one_without_nodes():
    estimator, grid = SEARCHES["nodes"]
    X, y = make_panel(n_instances=90)
    scores = GridSearchCV(estimator, grid, cv=3).fit(X, y).cv_results_["mean_test_score"]
    assert scores[0] > scores[-1]  # all nodes held: one answer for all
    assert scores[-1] == pytest.approx(1 / 3, abs=0.05)


def test_cross_validation_with_several_scorers():
    X, y = make_panel(n_instances=90)
    scores = cross_validate(
        small_net(max_epochs=15), X, y, cv=3, scoring=["accuracy", "f1_macro", "roc_auc_ovr"]
    )
    for name in ("test_accuracy", "test_f1_macro", "test_roc_auc_ovr"):
        assert scores[name].shape == (3,)
        assert scores[name].mean() > 0.6


def test_frozen_nets_survive_search():
    X, y = make_panel(n_instances=90)
    net = FrozenEstimator(small_net(max_epochs=15).fit(X, y))
    search = GridSearchCV(KnockoutTransformer(net), {"nodes": [None, [0]]}, cv=3).fit(X, y)
    assert search.best_estimator_.estimator_.estimator is net.estimator


def test_discretizer_is_an_estimator():
    hidden = np.random.default_rng(0).normal(size=(20, 3, 4))
    discretizer = clone(StateDiscretizer(3, strategy="kmeans"))
    states = discretizer.fit_transform(hidden)
    restored = pickle.loads(pickle.dumps(discretizer))
    np.testing.assert_array_equal(restored.transform(hidden), states)
