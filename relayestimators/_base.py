"""What estimators of this package have in common, as scikit-learn sees them.

Floor 0: numpy and scikit-learn only.
"""

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import _check_feature_names_in


class ArrayOutputMixin:
    """Mixin of transformers whose output has three dimensions, so that no table can hold it."""

    def set_output(self, *, transform=None):
        """Do nothing: the output stays an array, whatever container the next steps put out.

        Parameters
        ----------
        transform : str, optional
            Ignored.

        Returns
        -------
        self : estimator instance
        """
        return self


class MetaClassifierMixin:
    """Mixin of what trains a clone of `estimator` and keeps it as ``estimator_``."""

    def _trained(self, X, y, fit_params):
        """Return a trained clone (a frozen net as it is); `fit_params` are meant for its fit."""
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        return clone(self.estimator).fit(X, y, **fit_params)

    def get_metadata_routing(self):
        """Say which metadata go where: what `fit` is given goes to the classifier's `fit`.

        Returns
        -------
        MetadataRouter
            As scikit-learn's metadata routing asks for it.
        """
        to_fit = MethodMapping()
        for caller in ("fit", "fit_transform"):  # before 1.9 pipelines ask for the latter
            to_fit.add(caller=caller, callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=to_fit)

    def _names(self, names, input_features):
        """Return names of output columns, if those of the input are what was seen in fit."""
        _check_feature_names_in(self, input_features, generate_names=False)
        return np.array(names, dtype=object)

    @property
    def n_features_in_(self):
        """Number of channels (or of time steps of two-dimensional X) seen in fit."""
        return self._seen("n_features_in_")

    @property
    def feature_names_in_(self):
        """Names of the columns, if X in fit was a DataFrame with a row per instance."""
        return self._seen("feature_names_in_")

    def _seen(self, name):
        # the error names this estimator, not its private parts
        found = getattr(vars(self).get("estimator_"), name, None)
        if found is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return found
