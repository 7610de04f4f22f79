"""A hint to LLVM to use vectors of 512 bits in compiled functions, where the processor has them.

By default LLVM prefers 256 bits on most of these processors, because wide instructions may lower
the clock rate. The matrix products between the compiled passes use them anyway.

The hint stays because of what it is worth. Without it, all single-node knockouts of an LSTM with 64
nodes (1000 instances, 100 time steps, one thread) take 11 % longer, of a GRU 5 to 10 %, of a plain
RNN 5 % (medians of 25 or more pairs of runs on an Intel processor, Emerald Rapids).
"""

from numba import types
from numba.extending import intrinsic


@intrinsic
def prefer_wide_vectors(typingctx):
    """Prefer vectors of 512 bits in the compiled function that calls this."""

    def generate(context, builder, signature, arguments):
        attributes = builder.function.attributes
        if isinstance(attributes, set):  # llvmlite's own `add` refuses attributes with a value
            set.add(attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), generate
