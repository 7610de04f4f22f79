from .networks._network import one_thread, processor  # noqa
