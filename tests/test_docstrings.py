"""Docstrings are tested like code: numpydoc's rules for every public name.

The examples in them are run by pytest (``--doctest-modules``).
"""

import importlib
import inspect

import pytest
from numpydoc.validate import validate
from test_house import PUBLIC, dotted

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


def public_objects():
    """Yield (dotted name, object) of all that users import, but for modules and constants."""
    for path in PUBLIC:
        module = importlib.import_module(dotted(path))
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield f"{value.__module__}.{name}", value


def documented():
    """Yield the names of public functions and classes, and of the classes' methods."""
    for name, value in public_objects():
        yield name
        for owner in value.__mro__ if inspect.isclass(value) else ():
            if owner.__module__.startswith("relayestimators"):
                for method, function in vars(owner).items():
                    if not method.startswith("_") and callable(inspect.unwrap(function)):
                        yield f"{owner.__module__}.{owner.__name__}.{method}"


@pytest.mark.parametrize("name", sorted(set(documented())))
def test_numpydoc(name):
    problems = [error for error in validate(name)["errors"] if error[0] not in IGNORED]
    assert not problems


NO_EXAMPLE = {"CoverageWarning", "RelayMapWarning", "Unrolled", "study_table", "write_study"}


@pytest.mark.parametrize(("name", "value"), sorted(dict(public_objects()).items()))
def test_public_names_have_examples(name, value):
    short = name.rpartition(".")[2]
    if short not in NO_EXAMPLE:
        assert ">>> " in value.__doc__
        assert short in value.__doc__.partition("Examples\n")[2]
