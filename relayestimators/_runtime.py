"""The machine the package runs on: threads and processor."""

import platform
from contextlib import contextmanager


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
