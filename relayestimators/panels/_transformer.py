"""PanelToTensor: the conversion of panels as a transformer for pipelines."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._base import ArrayOutputMixin
from ._conversion import MULTIINDEX_ADVICE, is_multiindex, panel_to_tensor


class PanelToTensor(ArrayOutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Transformer that converts any sktime panel to an array, for the first step of a Pipeline.

    Attributes
    ----------
    n_channels_in_, n_features_in_ : int
        Number of channels in fit.

    See Also
    --------
    panel_to_tensor : The same as a function. Use it on pd-multiindex panels before
        cross-validation.

    Examples
    --------
    >>> from relayestimators import PanelToTensor
    >>> PanelToTensor().fit_transform([[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0]]]).shape
    (2, 1, 3)
    """

    def fit(self, X, y=None):
        """Check the panel and store its number of channels.

        Parameters
        ----------
        X : sktime panel
            Panel of any mtype.
        y : array-like of shape (n_instances,), optional
            Labels. Only their number is checked.

        Returns
        -------
        self : PanelToTensor

        Raises
        ------
        ValueError
            If X is invalid, or if X and y have different numbers of instances, as happens when
            scikit-learn splits the rows of a pd-multiindex panel.
        """
        panel = panel_to_tensor(X)
        if y is not None and len(y) != len(panel):
            advice = f" {MULTIINDEX_ADVICE}" if is_multiindex(X) else ""
            raise ValueError(
                f"X has {len(panel)} instances, but y has {len(y)} labels; expected as many labels "
                f"as instances.{advice}"
            )
        self.n_channels_in_ = self.n_features_in_ = panel.shape[1]
        return self

    def transform(self, X):
        """Convert a panel.

        Parameters
        ----------
        X : sktime panel
            Panel of any mtype, with the same number of channels as in fit.

        Returns
        -------
        ndarray of shape (n_instances, n_channels, n_timepoints), float32
        """
        check_is_fitted(self)
        panel = panel_to_tensor(X)
        if panel.shape[1] != self.n_channels_in_:
            raise ValueError(
                f"X has {panel.shape[1]} channels; expected {self.n_channels_in_}, as in fit."
            )
        return panel

    def get_feature_names_out(self, input_features=None):
        """Return the names of the channels.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str
            Names such as "channel0".
        """
        check_is_fitted(self)
        return np.array([f"channel{k}" for k in range(self.n_channels_in_)], dtype=object)

    def __sklearn_tags__(self):
        """Return the tags, which expect panels."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []  # panels are float32
        return tags
