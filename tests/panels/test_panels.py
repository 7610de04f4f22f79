"""Every sktime panel format becomes the same array; errors name the invalid place."""

import numpy as np
import pandas as pd
import pytest
from conftest import EQUAL, UNEQUAL, as_frames, cut_short, make_panel
from sktime.datasets import load_basic_motions, load_japanese_vowels
from sktime.datatypes import convert

from relayestimators import PanelToTensor, load_panel, panel_to_tensor


@pytest.mark.parametrize("mtype", EQUAL)
def test_equal_length(mtype):
    X, _ = make_panel(n_instances=12)
    converted = convert(as_frames(X), "df-list", mtype, as_scitype="Panel")
    tensor = panel_to_tensor(converted)
    assert tensor.dtype == np.float32
    np.testing.assert_array_equal(tensor, X)


@pytest.mark.parametrize("mtype", UNEQUAL)
def test_unequal_length(mtype):
    X = cut_short(make_panel(n_instances=12)[0], [10, 1, 4, 7] * 3)
    converted = convert(as_frames(X), "df-list", mtype, as_scitype="Panel")
    np.testing.assert_array_equal(panel_to_tensor(converted), X)


def test_one_channel_as_table():
    table = np.arange(12.0).reshape(3, 4)
    for X in (table, pd.DataFrame(table), table.tolist(), table.astype(int)):
        np.testing.assert_array_equal(panel_to_tensor(X), table[:, None])


def test_names_of_instances_do_not_change_their_order():
    X, _ = make_panel(n_instances=3, n_channels=1)
    frames = as_frames(X)
    multiindex = pd.concat(frames, keys=["a", "b", "c"])
    np.testing.assert_array_equal(panel_to_tensor(multiindex), X)


def test_time_index_is_not_a_channel():
    frames = [pd.DataFrame({"x": [1.0, 2.0]}, index=pd.date_range("2020", periods=2))] * 2
    np.testing.assert_array_equal(panel_to_tensor(frames), [[[1, 2]], [[1, 2]]])


@pytest.mark.parametrize(
    ("loader", "shape"),
    [(load_basic_motions, (40, 6, 100)), (load_japanese_vowels, (270, 12, 26))],
)
def test_data_sets_of_sktime(loader, shape):
    tensors = [panel_to_tensor(loader(split="train", return_type=mtype)[0]) for mtype in UNEQUAL]
    assert tensors[0].shape == shape
    for tensor in tensors[1:]:
        np.testing.assert_array_equal(tensors[0], tensor)


def nested(*columns):
    return pd.DataFrame(
        {f"c{k}": [pd.Series(cell) for cell in column] for k, column in enumerate(columns)}
    )


@pytest.mark.parametrize(
    ("X", "error", "match"),
    [
        ({"a": 1}, TypeError, "X is a dict, .*numpy3D"),
        ("abc", TypeError, "X is a str, "),
        ([[1, 2], [3]], TypeError, "X is a list, "),
        (np.zeros(4), ValueError, r"X has shape \(4,\); expected"),
        (np.array([[1, "x"]], dtype=object), TypeError, r"X contains 'x' \(str\) at \[0, 1\]"),
        (np.array([[None, 1]], dtype=object), ValueError, "NaN inside.*time step 0"),
        (np.array([[1j]]), TypeError, "complex"),
        ([pd.DataFrame({"x": ["u", "v"]})], TypeError, "instance 0 contains 'u'"),
        (
            [pd.DataFrame({"x": [1.0]}), pd.DataFrame({"x": []})],
            ValueError,
            "instance 1 is empty",
        ),
        (
            [pd.DataFrame({"x": [1.0]}), pd.DataFrame({"x": [1.0], "y": [1.0]})],
            ValueError,
            "instance 1 has 2 channels; expected 1",
        ),
        (
            nested([[1.0, 2.0], [1.0]], [[1.0, 2.0], [1.0, 2.0]]),
            ValueError,
            r"channels of instance 1 have lengths \[1, 2\]",
        ),
        (nested([[1.0, np.nan, 2.0]]), ValueError, "NaN inside.*instance 0.*time step 1"),
        (nested([[1.0, np.inf]]), ValueError, "infinity.*time step 1"),
    ],
)
def test_invalid_panels(X, error, match):
    with pytest.raises(error, match=match):
        panel_to_tensor(X)


def test_a_cell_that_is_not_a_series():
    X = nested([[1.0], [2.0]])
    X.iloc[1, 0] = "junk"
    with pytest.raises(TypeError, match="instance 1 has a cell that is not a series"):
        panel_to_tensor(X)


def test_input_is_not_changed():
    X, _ = make_panel()
    before = X.copy()
    panel_to_tensor(X)
    np.testing.assert_array_equal(X, before)


def test_transformer_is_the_function():
    X, y = make_panel(n_instances=12)
    frames = as_frames(X)
    transformer = PanelToTensor().fit(frames, y)
    assert transformer.n_channels_in_ == 2
    np.testing.assert_array_equal(transformer.transform(frames), X)
    with pytest.raises(ValueError, match="X has 1 channels; expected 2"):
        transformer.transform(X[:, :1])
    with pytest.raises(ValueError, match="X has 12 instances, but y has 5 labels"):
        transformer.fit(frames, y[:5])


def test_a_multiindex_panel_split_by_sklearn_is_an_error():
    X, y = make_panel(n_instances=12)
    rows = convert(as_frames(X), "df-list", "pd-multiindex", as_scitype="Panel")
    with pytest.raises(ValueError, match="split time steps instead of instances.*panel_to_tensor"):
        PanelToTensor().fit(rows, np.repeat(y, 10))


def test_official_split_of_a_data_set():
    X_train, y_train, X_test, y_test = load_panel("ItalyPowerDemand")
    assert X_train.shape == (67, 1, 24)
    assert X_test.shape == (1029, 1, 24)
    assert len(y_train) == 67
    assert len(y_test) == 1029


def test_unknown_data_set(monkeypatch):
    import sktime.datasets

    def refuse(name, **kwargs):
        raise OSError("not there")

    monkeypatch.setattr(sktime.datasets, "load_UCR_UEA_dataset", refuse)
    with pytest.raises(ValueError, match="name='Nothing'.*not there"):
        load_panel("Nothing")
