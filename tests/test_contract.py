"""Every estimator follows the conventions of scikit-learn.

The checks of scikit-learn use two-dimensional input, and skip most of what needs three dimensions.
The second half of this file therefore has checks of our own.
"""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from conftest import CELLS, as_frames, cut_short, make_panel, small_net
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import estimator_checks as checks
from sklearn.utils import get_tags
from sktime.datatypes import convert
from test_own_module import StackedGRU
from torch import nn

from relayestimators import (
    GRUClassifier,
    KnockoutTransformer,
    LSTMClassifier,
    PanelToTensor,
    RecurrentClassifier,
    RelayAnalyzer,
    RNNClassifier,
    StateDiscretizer,
)
from relayestimators.networks._clamp_values import RANDOM

# Skipped by scikit-learn itself unless the environment variable SCIPY_ARRAY_API is set.
SKIPPED = {"check_array_api_input"}


SLOW = pytest.mark.slow


def assert_clean(estimator):
    results = checks.check_estimator(estimator, on_fail=None)
    failed = [r for r in results if r["status"] != "passed" and r["check_name"] not in SKIPPED]
    assert not failed, "\n".join(f"{r['check_name']}: {r['exception']!r}" for r in failed)
    assert len(results) > 40


@pytest.mark.filterwarnings("ignore")  # the checks themselves warn
@pytest.mark.parametrize("cell", ["rnn", *(pytest.param(c, marks=SLOW) for c in ("gru", "lstm"))])
def test_check_estimator_on_classifiers(cell):
    assert_clean(CELLS[cell]())


@pytest.mark.parametrize("cell", CELLS)
def test_the_order_of_instances_matters_to_rounding_only(cell):
    """Also in several batches, in which products of torch's BLAS differ in the last bit."""
    X, y = make_panel(21)
    order = np.random.default_rng(0).permutation(21)
    net = CELLS[cell](max_epochs=10, iterator_valid__batch_size=16, random_state=0).fit(X, y)
    np.testing.assert_allclose(
        net.predict_proba(X[order]), net.predict_proba(X)[order], rtol=1e-5, atol=1e-6
    )


# Eight nodes fill a vector register, so that results do not depend on the order of the instances.
NET = small_net(RNNClassifier, max_epochs=10, module__hidden_size=8)
TOOLS = {
    "analyzer": RelayAnalyzer(NET, random_state=0),
    "knockout": KnockoutTransformer(NET, nodes=[1, 3]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tool", TOOLS)
def test_check_estimator_on_tools(tool):
    assert_clean(clone(TOOLS[tool]))


# PanelToTensor reads a table as a panel of one channel, whose columns are time steps.
FOR_PANELS = {
    "check_n_features_in": "features are channels, and a table is one",
    "check_n_features_in_after_fitting": "series may be longer in transform",
    "check_transformer_general": "series may be longer in transform",
    "check_transformer_data_not_an_array": "series may be longer in transform",
    "check_estimators_pickle": "NaN is allowed after the end of a series only",
} | dict.fromkeys(
    (
        "check_complex_data",
        "check_dtype_object",
        "check_estimators_empty_data_messages",
        "check_estimator_sparse_tag",
        "check_estimator_sparse_array",
        "check_estimator_sparse_matrix",
        "check_fit2d_predict1d",
    ),
    "the error messages are those of panels",
)


@pytest.mark.filterwarnings("ignore")
def test_check_estimator_on_panels():
    results = checks.check_estimator(
        PanelToTensor(), expected_failed_checks=FOR_PANELS, on_fail=None
    )
    names = {
        status: {r["check_name"] for r in results if r["status"] == status}
        for status in ("passed", "failed", "xfail")
    }
    assert not names["failed"]
    assert names["xfail"] == set(FOR_PANELS)
    assert len(names["passed"]) > 25


# Checks of scikit-learn's own estimators that check_estimator does not run.
OUTPUTS = [
    checks.check_transformer_get_feature_names_out,
    checks.check_transformer_get_feature_names_out_pandas,
    checks.check_set_output_transform,
    checks.check_set_output_transform_pandas,
    checks.check_global_output_transform_pandas,
    checks.check_global_set_output_transform_polars,
]


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("check", OUTPUTS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("tool", TOOLS)
def test_names_and_containers_of_output(tool, check):
    check(type(TOOLS[tool]).__name__, clone(TOOLS[tool]))


@pytest.mark.parametrize("name", ["GRUClassifier", *TOOLS])
def test_names_of_columns(name):
    estimator = clone(TOOLS.get(name) or GRUClassifier(max_epochs=1, random_state=0))
    checks.check_dataframe_column_names_consistency(name, estimator)


# ---------------------------------------------------------------- our checks, in three dimensions


OWN_MODULE = RecurrentClassifier(
    StackedGRU, criterion=nn.CrossEntropyLoss, max_epochs=2, verbose=0, random_state=0
)
X_FROZEN, Y_FROZEN = make_panel(seed=1)
FROZEN = FrozenEstimator(small_net(LSTMClassifier).fit(X_FROZEN, Y_FROZEN))


def analyzer(net, **options):
    return RelayAnalyzer(net, **({"random_state": 0, "n_relays": 2} | options))


def knockout(net, **options):
    return KnockoutTransformer(net, **({"nodes": [0, 2], "random_state": 0} | options))


ESTIMATORS = {
    "rnn": small_net(RNNClassifier),
    "gru, bidirectional, two layers": small_net(module__num_layers=2, module__bidirectional=True),
    "lstm": small_net(LSTMClassifier),
    "own module": OWN_MODULE,
    "analyzer": analyzer(small_net()),
    "analyzer, frozen, memory cells": analyzer(FROZEN, state="c", concepts="class"),
    "analyzer, shrink": analyzer(small_net(), method="shrink", n_relays=0.5),
    "analyzer, gaussian": analyzer(small_net(), method="gaussian", align="end", timepoints=-1),
    "analyzer, auto": analyzer(small_net(RNNClassifier), n_relays="auto", n_permutations=20),
    "analyzer, kmeans": analyzer(small_net(), strategy="kmeans", n_resamples=5, timepoints=0),
    "analyzer, own module": analyzer(OWN_MODULE, layer=0),
    "knockout": knockout(small_net()),
    "knockout, none": knockout(small_net(), nodes=None, output="logits"),
    "knockout, frozen, memory cells": knockout(FROZEN, state="c", value="zero", output="proba"),
    "knockout, noise": knockout(small_net(), value="noise"),
    "knockout, resample": knockout(small_net(), value="resample"),
    "knockout, values": knockout(small_net(RNNClassifier), value=[0.3, -0.1], stop=1),
    "knockout, own module": knockout(OWN_MODULE, layer=0),
    "panel": PanelToTensor(),
    "discretizer": StateDiscretizer(),
    "discretizer, kmeans": StateDiscretizer(3, strategy="kmeans", per_timepoint=False),
}
METHODS = ("transform", "predict", "predict_proba", "hidden_states", "score")


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    return clone(ESTIMATORS[request.param])


def fixture_of(keep):
    """Return a fixture of new estimators for which `keep` is true."""
    names = [name for name, estimator in ESTIMATORS.items() if keep(estimator)]
    return pytest.fixture(params=names)(lambda request: clone(ESTIMATORS[request.param]))


transformer = fixture_of(lambda estimator: hasattr(estimator, "transform"))
of_panels = fixture_of(lambda estimator: not isinstance(estimator, StateDiscretizer))
of_instances = fixture_of(lambda estimator: getattr(estimator, "value", None) not in RANDOM)
parallel = fixture_of(lambda estimator: "n_jobs" in estimator.get_params(deep=False))


def input_for(estimator, X):
    """Return the input of an estimator: a panel, or trajectories for a discretizer."""
    return X.transpose(0, 2, 1) if isinstance(estimator, StateDiscretizer) else X


def fitted(estimator, X, y):
    return estimator.fit(input_for(estimator, X), y)


def results_of(estimator, X):
    """Return all results of an estimator for a panel, in one array."""
    methods = ("transform", "predict_proba", "hidden_states")
    results = [
        getattr(estimator, name)(input_for(estimator, X))
        for name in methods
        if hasattr(estimator, name)
    ]
    return np.concatenate([np.asarray(array).reshape(len(array), -1) for array in results], axis=1)


def test_fit_is_idempotent_and_returns_itself(estimator):
    X, y = make_panel()
    assert fitted(estimator, X, y) is estimator
    before = results_of(estimator, X)
    np.testing.assert_array_equal(results_of(fitted(estimator, X, y), X), before)
    np.testing.assert_array_equal(results_of(fitted(clone(estimator), X, y), X), before)


def test_fit_transform_is_fit_then_transform(transformer):
    X, y = make_panel()
    at_once = clone(transformer).fit_transform(input_for(transformer, X), y)
    expected = fitted(transformer, X, y).transform(input_for(transformer, X))
    np.testing.assert_array_equal(at_once, expected)


def test_input_is_not_changed(estimator):
    X, y = make_panel()
    X = cut_short(X, 5 + np.arange(60) % 6)
    X_before, y_before = X.copy(), y.copy()
    results_of(fitted(estimator, X, y), X)
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(y, y_before)
    X.setflags(write=False)
    y.setflags(write=False)
    results_of(fitted(estimator, X, y), X)


def test_parameters_are_not_changed(transformer):
    X, y = make_panel()
    untouched = repr(transformer.get_params(deep=False))
    results_of(fitted(transformer, X, y), X)
    assert repr(transformer.get_params(deep=False)) == untouched


def test_results_do_not_share_memory_with_the_estimator(estimator):
    X, y = make_panel()
    fitted(estimator, X, y)
    before = results_of(estimator, X)
    for name in ("transform", "predict_proba", "hidden_states"):
        if hasattr(estimator, name):
            result = getattr(estimator, name)(input_for(estimator, X.copy()))
            result[:] = 0
    np.testing.assert_array_equal(results_of(estimator, X), before)


def test_number_types_do_not_matter(estimator):
    X, y = make_panel()
    X = np.round(X)
    expected = results_of(fitted(estimator, X, y), X)
    for dtype in (np.float64, np.int64, np.float16):
        converted = X.astype(dtype)
        np.testing.assert_array_equal(
            results_of(fitted(estimator, converted, y), converted), expected
        )


def test_types_of_results(estimator):
    X, y = make_panel()
    fitted(estimator, X.astype(np.float64), y)
    number = np.uint8 if isinstance(estimator, StateDiscretizer) else np.float32
    for name in ("transform", "predict_proba", "hidden_states"):
        if hasattr(estimator, name):
            assert getattr(estimator, name)(input_for(estimator, X)).dtype == number
    if hasattr(estimator, "predict"):
        assert estimator.predict(X).dtype == y.dtype
        assert isinstance(estimator.score(X, y), float)


def test_memory_layout_does_not_matter(estimator):
    X, y = make_panel()
    expected = results_of(fitted(estimator, X, y), X)
    for other in (np.asfortranarray(X), np.repeat(X, 2, axis=2)[:, :, ::2], X[::-1][::-1]):
        np.testing.assert_array_equal(results_of(fitted(estimator, other, y), other), expected)


def test_lists_and_series(estimator):
    X, y = make_panel()
    expected = results_of(fitted(estimator, X, y), X)
    labels = pd.Series(y, index=np.arange(60)[::-1] + 7)  # the index is ignored
    for other in (list(y), y.astype(object), labels, labels.astype("category")):
        estimator.fit(input_for(estimator, X).tolist(), other)
        np.testing.assert_array_equal(results_of(estimator, X), expected)


def test_objects_that_convert_to_arrays(estimator):
    X, y = make_panel()
    expected = results_of(fitted(estimator, X, y), X)
    other = checks._NotAnArray(input_for(estimator, X))
    np.testing.assert_array_equal(results_of(estimator.fit(other, y), X), expected)


def test_instances_do_not_depend_on_each_other(of_instances):
    X, y = make_panel()
    fitted(of_instances, X, y)
    everything, order = results_of(of_instances, X), np.random.default_rng(0).permutation(60)
    np.testing.assert_allclose(results_of(of_instances, X[:1]), everything[:1], atol=1e-6)
    np.testing.assert_allclose(results_of(of_instances, X[order]), everything[order], atol=1e-6)


def test_one_instance_and_one_time_step(estimator):
    X, y = make_panel()
    assert len(results_of(fitted(estimator, X, y), X[:1])) == 1
    one_step = X[:, :, :1]
    assert len(results_of(fitted(estimator, one_step, y), one_step)) == 60


def test_refit_with_another_shape(estimator):
    X, y = make_panel()
    fitted(estimator, X, y)
    wide, labels = make_panel(n_channels=4, n_timepoints=7)
    if getattr(estimator, "estimator", None) is FROZEN:
        with pytest.raises(ValueError, match="X has 4 features.*2"):
            fitted(estimator, wide, labels)
        return
    expected = results_of(fitted(clone(estimator), wide, labels), wide)
    np.testing.assert_array_equal(results_of(fitted(estimator, wide, labels), wide), expected)


def test_pickle_joblib_and_copies(estimator, tmp_path):
    X, y = make_panel()
    expected = results_of(fitted(estimator, X, y), X)
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    for other in (
        pickle.loads(pickle.dumps(estimator)),
        copy.deepcopy(estimator),
        copy.copy(estimator),
        joblib.load(tmp_path / "estimator.joblib"),
    ):
        np.testing.assert_array_equal(results_of(other, X), expected)


def test_unfitted_estimators_raise_an_error(estimator):
    X, y = make_panel()
    X = input_for(estimator, X)
    calls = [(name, (X, y) if name == "score" else (X,)) for name in METHODS]
    calls += [(name, ()) for name in ("get_feature_names_out", "get_support", "relays")]
    for name, arguments in calls:
        if hasattr(estimator, name):
            with pytest.raises(NotFittedError, match=f"{type(estimator).__name__} instance"):
                getattr(estimator, name)(*arguments)
    for name in ("n_features_in_", "feature_names_in_"):
        with pytest.raises(AttributeError, match=f"{type(estimator).__name__}.*{name}"):
            getattr(estimator, name)


def test_constructor_only_stores(estimator):
    params = estimator.get_params(deep=False)
    again = clone(estimator).get_params(deep=False)
    assert params.keys() == again.keys()
    public = {name for name in vars(estimator) if not name.startswith("_")}
    assert public <= set(params)
    for name in params:
        if name in vars(estimator):
            assert vars(estimator)[name] is params[name]


def test_parameters_can_be_set_and_wrong_names_are_refused(estimator):
    for name, value in estimator.get_params(deep=False).items():
        assert estimator.set_params(**{name: value}) is estimator
    with pytest.raises(ValueError, match="Invalid parameter 'n_neurons'"):
        estimator.set_params(n_neurons=3)


def test_wrong_number_of_channels(estimator):
    X, y = make_panel()
    fitted(estimator, X, y)
    with pytest.raises(ValueError, match="([Xx]|hidden) has 1 (channels|features|nodes).*2"):
        results_of(estimator, X[:, :1])


def test_broken_input_is_refused_before_and_after(estimator):
    X, y = make_panel()
    broken = X.copy()
    broken[4, :, 2] = np.inf
    with pytest.raises(ValueError, match="(infinity|infinite).*instance 4"):
        fitted(estimator, broken, y)
    fitted(estimator, X, y)
    with pytest.raises(ValueError, match="(infinity|infinite).*instance 4"):
        results_of(estimator, broken)
    with pytest.raises(ValueError, match=r"shape \(2, 2, 2, 2\)|dim 4"):
        estimator.fit(np.zeros((2, 2, 2, 2)), [0, 1])
    with pytest.raises((TypeError, ValueError), match="expected numbers|numeric"):
        fitted(estimator, np.full((60, 2, 3), "a"), y)


def test_a_failed_fit_leaves_what_was_fitted(estimator):
    X, y = make_panel()
    fitted(estimator, X, y)
    before = results_of(estimator, X)
    broken = X.copy()
    broken[0, 1, 3] = np.inf
    with pytest.raises(ValueError, match="infinit"):
        fitted(estimator, broken, y)
    np.testing.assert_array_equal(results_of(estimator, X), before)


def test_number_of_labels_must_match(of_panels):
    X, y = make_panel()
    with pytest.raises(ValueError, match="60.*41|41.*60"):
        of_panels.fit(X, y[:41])


def test_labels_are_required_where_they_are_needed(estimator):
    X, _ = make_panel()
    needed = get_tags(estimator).target_tags.required
    if isinstance(estimator, KnockoutTransformer) and estimator.estimator is FROZEN:
        needed = False
    if needed:
        with pytest.raises(ValueError, match="requires y to be passed.* is None"):
            estimator.fit(X, None)
    else:
        assert len(results_of(fitted(estimator, X, None), X)) == 60


def test_nested_panels(of_panels):
    X, y = make_panel()
    X = cut_short(X, 5 + np.arange(60) % 6)
    expected = results_of(of_panels.fit(X, y), X)
    frames = as_frames(X)
    for other in (frames, convert(frames, "df-list", "nested_univ", as_scitype="Panel")):
        np.testing.assert_array_equal(results_of(of_panels.fit(other, y), other), expected)


def test_rows_of_time_are_refused(of_panels):
    X, y = make_panel()
    rows = convert(as_frames(X), "df-list", "pd-multiindex", as_scitype="Panel")
    if isinstance(of_panels, PanelToTensor):  # it converts them
        np.testing.assert_array_equal(of_panels.fit(rows).transform(rows), X)
        return
    with pytest.raises(ValueError, match="leak every series.*X = panel_to_tensor"):
        of_panels.fit(rows, y)
    with pytest.raises(ValueError, match="leak every series.*X = panel_to_tensor"):
        results_of(of_panels.fit(X, y), rows)


def test_feature_names(transformer):
    X, y = make_panel()
    out = fitted(transformer, X, y).transform(input_for(transformer, X))
    names = transformer.get_feature_names_out()
    assert len(names) == out.shape[1 if isinstance(transformer, PanelToTensor) else -1]
    assert names.dtype == object
    assert len(set(names)) == len(names)
    np.testing.assert_array_equal(transformer.get_feature_names_out(["a", "b"]), names)
    assert transformer.n_features_in_ == 2


def test_set_output_keeps_the_values(transformer):
    X, y = make_panel()
    expected = fitted(transformer, X, y).transform(input_for(transformer, X))
    assert transformer.set_output(transform="pandas") is transformer
    out = transformer.transform(input_for(transformer, X))
    np.testing.assert_array_equal(np.asarray(out), expected)
    if expected.ndim == 2:
        assert out.columns.tolist() == transformer.get_feature_names_out().tolist()
    else:
        assert isinstance(out, np.ndarray)


def test_tags_tell_of_three_dimensions(estimator):
    tags = get_tags(estimator)
    assert tags.input_tags.three_d_array
    assert tags.input_tags.two_d_array != isinstance(estimator, StateDiscretizer)
    assert is_classifier(estimator) == hasattr(estimator, "predict")
    if hasattr(estimator, "transform"):
        assert tags.transformer_tags.preserves_dtype == []


def test_what_is_not_offered():
    """Features that docs/compatibility.md lists as missing."""
    assert not hasattr(KnockoutTransformer, "partial_fit")
    assert not any(hasattr(net, "transform") for net in CELLS.values())
    table = pd.DataFrame(np.ones((3, 4)), columns=list("abcd"))
    panel = PanelToTensor().fit(table)
    assert not hasattr(panel, "feature_names_in_")
    assert panel.get_feature_names_out().tolist() == ["channel0"]
    with pytest.raises(ValueError, match=r"hidden has shape \(3, 4\).*n_timepoints, n_nodes"):
        StateDiscretizer().fit(table)


def test_repr_is_readable(estimator):
    X, y = make_panel()
    for shown in (estimator, fitted(estimator, X, y)):
        assert type(estimator).__name__ in repr(shown)
        assert type(estimator).__name__ in shown._repr_html_()
        assert str(shown)


def test_workers_do_not_matter(parallel):
    X, y = make_panel()
    one, two = clone(parallel).fit(X, y), clone(parallel).set_params(n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(one.relay_map_, two.relay_map_)
    np.testing.assert_array_equal(results_of(one, X), results_of(two, X))
