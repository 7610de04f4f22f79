"""Docstrings are tested like code: numpydoc's rules for every public name.

The examples in them are run by pytest (``--doctest-modules``).
"""

import inspect

import pytest
from numpydoc.validate import validate

import relayestimators
from relayestimators import (
    adapters,
    callbacks,
    counting,
    discretization,
    drift,
    information,
    knockout,
    networks,
    panels,
    rankings,
    relay,
    report,
    reproduction,
    state_space,
    studies,
    tasks,
)
from relayestimators.classifiers._net import PanelNet

# What is not asked for, and why.
IGNORED = {
    "GL01",  # summary on the line of the quotes, as ruff's rules have it
    "GL08",  # an absent docstring is ruff's to find; here inherited ones would count
    "ES01",  # an extended summary where there is nothing to extend
    "SA01",  # See Also and examples are asked for of top-level names only, below
    "SA04",  # names in See Also need no description when the name says it
    "EX01",
    "RT02",  # one returned value may have a name, as in scikit-learn
    "RT04",  # the fields of a Bunch are named, not described in sentences
    "RT03",  # a Returns section whose name and type say it all
    "PR07",  # parameters whose name and type say it all
    "YD01",  # context managers yield nothing
    "PR09",  # "As in `fit`" sections refer to others
    "SS06",  # a summary may take a second line
}

MODULES = (
    adapters,
    callbacks,
    information,
    counting,
    drift,
    relay,
    discretization,
    knockout,
    networks,
    networks._clamps,
    networks._compiled_steps,
    networks._engine,
    networks._intact_run,
    networks._layout,
    networks._network,
    networks._torch_steps,
    networks._vector_width,
    panels,
    rankings,
    report,
    reproduction,
    reproduction._nets,
    reproduction._page,
    reproduction._run,
    reproduction._statistics,
    state_space,
    studies._ablation,
    studies._specificity,
    studies._sweep,
    tasks,
)


def public_objects():
    for name in relayestimators.__all__:
        yield f"relayestimators.{name}"
    for obj in [getattr(relayestimators, name) for name in relayestimators.__all__] + [PanelNet]:
        if inspect.isclass(obj):
            for method, function in vars(obj).items():
                if not method.startswith("_") and callable(inspect.unwrap(function)):
                    yield f"{obj.__module__}.{obj.__name__}.{method}"
    for module in MODULES:
        for name, function in vars(module).items():
            if getattr(function, "__module__", None) == module.__name__ and name[0] != "_":
                yield f"{module.__name__}.{name}"


@pytest.mark.parametrize("name", sorted(set(public_objects())))
def test_numpydoc(name):
    problems = [error for error in validate(name)["errors"] if error[0] not in IGNORED]
    assert not problems


@pytest.mark.parametrize("name", relayestimators.__all__)
def test_top_level_names_have_examples(name):
    if name == "CoverageWarning":
        pytest.skip("a warning has nothing to show")
    doc = getattr(relayestimators, name).__doc__
    assert ">>> " in doc
    assert f"{name}" in doc
