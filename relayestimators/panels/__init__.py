"""Every panel format of sktime as one array."""

from ._conversion import panel_to_tensor
from ._transformer import PanelToTensor

__all__ = ["PanelToTensor", "panel_to_tensor"]
