"""The run without clamps, which all knockouts of the same instances share."""

import torch

from ._engine import Trajectory
from ._layout import join_directions, time_major


class IntactRun:
    """Projected inputs and the run without clamps, which knockouts of the same instances share.

    Each part is computed when it is first needed.

    Parameters
    ----------
    network : RecurrentNetwork
        The network.
    X : Tensor of shape (n_instances, n_channels, n_timepoints)
        Panel, with NaN after the end of shorter series.
    keep_last : bool, default=True
        Whether to keep the paths of the last layer. Those of other layers are always kept,
        because the next layer reads them.
    """

    def __init__(self, network, X, *, keep_last=True):
        self.network, self.keep_last = network, keep_last
        steps, lengths = time_major(X)
        self.steps, self.alive = steps.contiguous(), None  # projecting is twice as fast then
        if lengths is not None:
            timepoints = torch.arange(len(self.steps), device=X.device)[:, None]
            self.alive = timepoints < lengths
        self._projected, self._runs = {}, {}

    def inputs(self, depth):
        """Return the input of a layer, of shape (n_timepoints, n_instances, n_inputs)."""
        if depth == 0:
            return self.steps
        return join_directions([direction["h"].path for direction in self.layer(depth - 1)])

    def projected(self, depth, direction):
        """Return the projected input of one direction of a layer."""
        key = depth, direction
        if key not in self._projected:
            self._projected[key] = self.network._project(self.inputs(depth), depth, direction)
        return self._projected[key]

    def run(self, depth, direction):
        """Return the run of one direction of a layer, a Trajectory for each state."""
        key = depth, direction
        if key not in self._runs:
            self._runs[key] = self.network._step_through(
                self.projected(depth, direction),
                depth,
                direction,
                alive=self.alive,
                keep=self.keep_last or depth < self.network.num_layers - 1,
            )
        return self._runs[key]

    def layer(self, depth):
        """Return the runs of all directions of a layer."""
        return [self.run(depth, direction) for direction in range(self.network.n_directions)]

    def paths(self, depth, direction):
        """Return the paths of one direction of a layer, by state."""
        return {name: state.path for name, state in self.run(depth, direction).items()}

    def repeat(self, depth, direction, n_copies, keep):
        """Return the run of one direction of a layer, repeated for every copy.

        The paths are repeated only if they are to be kept.
        """
        return {
            name: Trajectory(
                state.path.repeat(1, n_copies, 1) if keep else None,
                state.final.repeat(n_copies, 1),
            )
            for name, state in self.run(depth, direction).items()
        }
