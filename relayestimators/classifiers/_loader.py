"""A DataLoader that indexes arrays in memory by batch."""

import numpy as np
import torch
from skorch.dataset import Dataset
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, Subset


class BatchLoader(DataLoader):
    """A torch DataLoader that indexes arrays in memory by batch instead of row by row.

    Batches are the same as those of torch's DataLoader, bit for bit: the same samplers draw the
    same instances from the same random numbers. Other data, and batches that a `collate_fn` makes,
    are handled by torch's DataLoader.

    Parameters
    ----------
    dataset : Dataset
        Data. A skorch Dataset with arrays or tensors as X and y, or a Subset of it, is indexed by
        batch.
    batch_size : int, default=1
        Number of instances per batch.
    shuffle : bool, optional
        Whether to shuffle the instances in every epoch.
    collate_fn : callable, optional
        Function that makes a batch from a list of instances, as in DataLoader.
    **kwargs : dict
        Further arguments of DataLoader.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.classifiers import BatchLoader
    >>> from skorch.dataset import Dataset
    >>> X, y = np.arange(12.0).reshape(3, 2, 2), np.array([0, 1, 1])
    >>> [(tuple(Xi.shape), yi.tolist()) for Xi, yi in BatchLoader(Dataset(X, y), batch_size=2)]
    [((2, 2, 2), [0, 1]), ((1, 2, 2), [1])]
    """

    def __init__(self, dataset, batch_size=1, shuffle=None, *, collate_fn=None, **kwargs):
        if collate_fn is None and kwargs.get("batch_sampler") is None and batch_size is not None:
            in_memory = _InMemory.of(dataset)
            if in_memory is not None:
                dataset, collate_fn = in_memory, _unchanged
        super().__init__(dataset, batch_size, shuffle, collate_fn=collate_fn, **kwargs)

    def __iter__(self):
        """Iterate over the batches of one epoch."""
        in_memory = isinstance(self.dataset, _InMemory)
        if not in_memory or self.num_workers or self.pin_memory or self.timeout:
            return super().__iter__()
        # torch's loader draws a seed for its workers even if it has none
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)
        return map(self.dataset.__getitems__, self._rows())

    def _rows(self):
        """Yield the rows of every batch; for torch's own samplers as tensors, which is faster."""
        torch_sampler = type(self.sampler) in (RandomSampler, SequentialSampler)
        if not torch_sampler or type(self.batch_sampler) is not BatchSampler:
            yield from self.batch_sampler
            return
        order = torch.tensor(list(self.sampler), dtype=torch.int64)
        whole = len(order) // self.batch_size * self.batch_size
        yield from order[:whole].view(-1, self.batch_size)
        if whole < len(order) and not self.drop_last:
            yield order[whole:]


def _unchanged(batch):
    """Return a batch that is complete already."""
    return batch


class _InMemory(torch.utils.data.Dataset):
    """A dataset of tensors, or of some of their rows, that is indexed by batch."""

    def __init__(self, X, y, rows):
        self.X, self.y, self.rows = X, y, rows

    @classmethod
    def of(cls, dataset):
        """Return a dataset as tensors in memory, or None if it does not consist of arrays."""
        rows = None
        while type(dataset) is Subset:
            inner = torch.as_tensor(np.asarray(dataset.indices, dtype=np.int64))
            rows, dataset = inner if rows is None else inner[rows], dataset.dataset
        if type(dataset) is not Dataset or not _is_array(dataset.X):
            return None
        if not (dataset.y is None or _is_array(dataset.y)):
            return None
        y = None if dataset.y is None else _tensor(dataset.y)
        return cls(_tensor(dataset.X), y, rows)

    def __len__(self):
        return len(self.X if self.rows is None else self.rows)

    def __getitems__(self, indices):
        rows = torch.as_tensor(indices)
        if self.rows is not None:
            rows = self.rows[rows]
        X = self.X.index_select(0, rows)
        if self.y is None:  # skorch's placeholder
            return X, torch.zeros(len(rows), 1)
        return X, self.y.index_select(0, rows)


def _tensor(values):
    """Return an array as a tensor, and a read-only one as a copy, because torch has none."""
    if isinstance(values, np.ndarray) and not values.flags.writeable:
        values = values.copy()
    return torch.as_tensor(values)


def _is_array(values):
    """Return whether values are an array of numbers or a tensor."""
    numbers = isinstance(values, np.ndarray) and values.dtype.kind in "biuf"
    return numbers or torch.is_tensor(values)
