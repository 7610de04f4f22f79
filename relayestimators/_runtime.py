"""The machine the package runs on: threads, workers and processor."""

import platform
from contextlib import contextmanager

from joblib import Parallel, delayed, effective_n_jobs
from sklearn import config_context
from tqdm.auto import tqdm


@contextmanager
def one_thread(wanted=True):
    """Let torch use a single thread within the context.

    Parallel workers need this so that they do not compete for the same cores.

    Parameters
    ----------
    wanted : bool, default=True
        If False, the number of threads is left unchanged.
    """
    import torch

    before = torch.get_num_threads()
    if wanted:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if wanted:
            torch.set_num_threads(before)


def run_tasks(function, tasks, *shared, n_jobs, verbose, desc):
    """Run networks in threads, or in the workers of the backend that is configured.

    Within a task torch has one thread if there are several workers, and panels are not checked
    again.

    Parameters
    ----------
    function : callable
        (task, *shared) -> sequence of results, one per item of the task.
    tasks : list of list
        Items. How they are divided must not depend on the workers, or else results do.
    *shared : object
        What all tasks need. It is sent to a worker once, if its size is known.
    n_jobs : int or None
        Number of joblib workers.
    verbose : int
        If nonzero, show a progress bar.
    desc : str
        Name of the items.

    Returns
    -------
    list
        Results of all items, in their order.
    """
    single_thread = effective_n_jobs(n_jobs) > 1  # workers must not compete for cores
    found = []
    with one_thread(single_thread):
        results = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
            delayed(_run_task)(function, single_thread, task, *shared) for task in tasks
        )
        with tqdm(total=sum(map(len, tasks)), disable=not verbose, desc=desc) as bar:
            for result in results:
                found += list(result)
                bar.update(len(result))
    return found


def _run_task(function, single_thread, task, *shared):
    with one_thread(single_thread), config_context(assume_finite=True):
        return function(task, *shared)


def processor():
    """Return the kind of processor.

    Rounding differs between kinds of processors, and so do the last digits of results.

    Returns
    -------
    str
        The processor or architecture as Python reports it, and the widest vector instructions
        that torch uses. Processors of different vendors may have the same name here.
    """
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    return f"{platform.processor() or platform.machine()} ({capability})"
