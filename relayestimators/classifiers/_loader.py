"""A DataLoader that takes batches out of arrays in memory at once."""

import numpy as np
import torch
from skorch.dataset import Dataset
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, Subset


class BatchLoader(DataLoader):
    """A torch DataLoader that indexes arrays in memory by batch, not row by row.

    The batches are those of torch's DataLoader, bit for bit: the same samplers draw the same
    instances from the same random numbers. Data it cannot index at once, and batches that a
    `collate_fn` is to make, are left to it.

    Parameters
    ----------
    dataset : Dataset
        If it is skorch's, with arrays or tensors as X and y, or a Subset of it, as `train_split`
        makes them, batches are taken at once.
    batch_size : int, default=1
        Instances per batch.
    shuffle : bool, optional
        New order in every epoch.
    collate_fn : callable, optional
        As of DataLoader.
    **kwargs : dict
        Whatever else DataLoader takes.

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
                dataset, collate_fn = in_memory, _as_it_is
        super().__init__(dataset, batch_size, shuffle, collate_fn=collate_fn, **kwargs)

    def __iter__(self):
        """Go through the batches of one epoch."""
        at_once = isinstance(self.dataset, _InMemory)
        if not at_once or self.num_workers or self.pin_memory or self.timeout:
            return super().__iter__()
        # torch's loader draws a seed for its workers, also without workers
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)
        return map(self.dataset.__getitems__, self._rows())

    def _rows(self):
        """Yield the rows of every batch, those of torch's own samplers without lists of numbers."""
        own = type(self.sampler) in (RandomSampler, SequentialSampler)
        if not own or type(self.batch_sampler) is not BatchSampler:
            yield from self.batch_sampler
            return
        order = torch.tensor(list(self.sampler), dtype=torch.int64)
        whole = len(order) // self.batch_size * self.batch_size
        yield from order[:whole].view(-1, self.batch_size)
        if whole < len(order) and not self.drop_last:
            yield order[whole:]


def _as_it_is(batch):
    return batch


class _InMemory(torch.utils.data.Dataset):
    """Tensors, and which of their rows there are; hands out batches."""

    def __init__(self, X, y, rows):
        self.X, self.y, self.rows = X, y, rows

    @classmethod
    def of(cls, dataset):
        """Return a dataset as tensors in memory, or None if that is not what it holds."""
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
        if self.y is None:  # skorch's stand-in
            return X, torch.zeros(len(rows), 1)
        return X, self.y.index_select(0, rows)


def _tensor(values):
    """Return an array as a tensor; torch has no read-only ones, so these are copied."""
    if isinstance(values, np.ndarray) and not values.flags.writeable:
        values = values.copy()
    return torch.as_tensor(values)


def _is_array(values):
    numbers = isinstance(values, np.ndarray) and values.dtype.kind in "biuf"
    return numbers or torch.is_tensor(values)
