"""Mixins of the estimators: array output, and the wrapping of a classifier."""

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import _check_feature_names_in


class ArrayOutputMixin:
    """Mixin for transformers with three-dimensional output, which does not fit into a table."""

    def set_output(self, *, transform=None):
        """Do nothing, because the output is always an array.

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
    """Mixin for estimators that train a clone of `estimator` and store it as ``estimator_``."""

    def _trained(self, X, y, fit_params):
        """Return a trained clone; a frozen estimator is returned unchanged."""
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        return clone(self.estimator).fit(X, y, **fit_params)

    def get_metadata_routing(self):
        """Return the metadata routing: metadata of `fit` are passed to `fit` of the classifier.

        Returns
        -------
        MetadataRouter
            Routing information of scikit-learn.
        """
        to_fit = MethodMapping()
        for caller in ("fit", "fit_transform"):  # pipelines before 1.9 use the latter
            to_fit.add(caller=caller, callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=to_fit)

    def _output_names(self, names, input_features):
        """Return names of output columns, after a check of the names of the input."""
        _check_feature_names_in(self, input_features, generate_names=False)
        return np.array(names, dtype=object)

    @property
    def n_features_in_(self):
        """Number of channels in fit, or of time steps if X had two dimensions."""
        return self._attribute_of_classifier("n_features_in_")

    @property
    def feature_names_in_(self):
        """Names of the columns, if X in fit was a DataFrame with one row per instance."""
        return self._attribute_of_classifier("feature_names_in_")

    def _attribute_of_classifier(self, name):
        # the error names this estimator, not the wrapped classifier
        found = getattr(vars(self).get("estimator_"), name, None)
        if found is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return found
