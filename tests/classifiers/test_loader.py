"""BatchLoader makes the same batches as torch's DataLoader, bit for bit."""

import numpy as np
import pytest
import torch
from conftest import CELLS, make_panel
from skorch.callbacks import EpochScoring, PrintLog
from skorch.dataset import Dataset, ValidSplit
from torch.utils.data import DataLoader, Subset, TensorDataset

from relayestimators.classifiers import BatchLoader

X, Y = make_panel()
CODES = np.arange(60) % 3


def batches(loader, dataset, **options):
    torch.manual_seed(3)
    made = [list(loader(dataset, **options)) for _ in range(2)]  # two epochs
    return [tensor for epoch in made for batch in epoch for tensor in batch], torch.rand(1)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 16, "shuffle": True},
        {"batch_size": 16, "shuffle": True, "drop_last": True},
        {"batch_size": 7},
        {"batch_size": 100},
        {"batch_size": 16, "shuffle": True, "generator": True},
        {"batch_size": 16, "sampler": range(5, 40)},
        {"batch_sampler": [[1, 2], [5]]},
        {"batch_size": 4, "collate_fn": lambda rows: (torch.tensor([len(rows)]),)},
    ],
    ids=lambda options: " ".join(options),
)
@pytest.mark.parametrize(
    "dataset",
    [
        Dataset(X, CODES),
        Dataset(torch.from_numpy(X), torch.from_numpy(CODES)),
        Dataset(X),
        Subset(Dataset(X, CODES), np.arange(50)[::-1].copy()),
        Subset(Subset(Dataset(X, CODES), range(10, 60)), [*range(40, 50), *range(40)]),
        TensorDataset(torch.from_numpy(X), torch.from_numpy(CODES)),
        Dataset({"X": X}, CODES),
    ],
    ids=["arrays", "tensors", "no y", "subset", "subset of subset", "not skorch's", "dict"],
)
def test_same_batches(dataset, options):
    made = []
    for loader in (BatchLoader, DataLoader):
        chosen = dict(options)
        if chosen.pop("generator", None):
            chosen["generator"] = torch.Generator().manual_seed(5)
        made.append(batches(loader, dataset, **chosen))
    (ours, after), (theirs, expected) = made
    assert len(ours) == len(theirs)
    assert torch.equal(after, expected)  # the same number of random draws
    for a, b in zip(ours, theirs):
        if isinstance(a, dict):
            a, b = a["X"], b["X"]
        assert torch.equal(a, b)
        assert a.dtype == b.dtype


def test_rows_are_not_indexed_one_by_one(monkeypatch):
    monkeypatch.setattr(Dataset, "__getitem__", lambda self, i: pytest.fail("one row"))
    assert len(list(BatchLoader(Dataset(X, CODES), batch_size=16))) == 4


@pytest.mark.parametrize("split", [None, ValidSplit(3)])
def test_same_training(split):
    nets = [
        CELLS["gru"](
            module__hidden_size=4, max_epochs=3, random_state=0, train_split=split, **options
        ).fit(X, Y)
        for options in ({}, {"iterator_train": DataLoader, "iterator_valid": DataLoader})
    ]
    weights, expected = (net.module_.state_dict() for net in nets)
    for name, tensor in weights.items():
        assert torch.equal(tensor, expected[name])
    assert nets[0].history[:, "train_loss"] == nets[1].history[:, "train_loss"]
    if split is not None:
        assert nets[0].history[:, "valid_loss"] == nets[1].history[:, "valid_loss"]
    np.testing.assert_array_equal(*(net.predict_proba(X) for net in nets))


def test_faster_callbacks_record_and_print_the_same(capsys):
    skorchs = {
        "callbacks__valid_acc": EpochScoring("accuracy", name="valid_acc", lower_is_better=False),
        "callbacks__print_log": PrintLog(),
    }
    options = {"max_epochs": 4, "random_state": 0, "train_split": ValidSplit(3), "verbose": 1}
    recorded, printed = [], []
    for more in ({}, skorchs):
        net = CELLS["rnn"](module__hidden_size=4, **options, **more).fit(X, Y)
        for row in net.history:
            row["dur"] = 0.0
        recorded.append(net.history.to_list())
        printed.append(
            [line[:-8] for line in capsys.readouterr().out.splitlines()]
        )  # without durations
    assert recorded[0] == recorded[1]
    assert printed[0] == printed[1]
    assert len(printed[0]) == 6


def test_log_is_written_to_the_sink_or_if_verbose(capsys):
    lines = []
    options = {"max_epochs": 2, "random_state": 0}
    CELLS["rnn"](**options, callbacks__print_log__sink=lines.append).fit(X, Y)
    assert len(lines) == 4
    net = CELLS["rnn"](**options).fit(X, Y)
    assert capsys.readouterr().out == ""
    net.set_params(verbose=1).partial_fit(X, Y)
    assert capsys.readouterr().out.startswith("  epoch ")
