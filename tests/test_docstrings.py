"""Docstrings are tested like code: numpydoc's rules for every public name.

The examples in them are run by pytest (``--doctest-modules``).
"""

import importlib
import inspect

import pytest
from numpydoc.validate import validate
from test_house import FILES, PUBLIC, dotted

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


def documented_objects():
    """Yield every function and class that has no underscore, and the methods of the classes."""
    for path in FILES:
        module = importlib.import_module(dotted(path))
        for name, value in vars(module).items():
            if getattr(value, "__module__", None) != module.__name__ or name.startswith("_"):
                continue
            yield f"{module.__name__}.{name}"
            if inspect.isclass(value):
                for method, function in vars(value).items():
                    if not method.startswith("_") and callable(inspect.unwrap(function)):
                        yield f"{module.__name__}.{name}.{method}"


def public_names():
    """Yield every name that users import, but not modules and constants."""
    for path in PUBLIC:
        module = importlib.import_module(dotted(path))
        for name in module.__all__:
            if callable(getattr(module, name)):
                yield f"{module.__name__}.{name}"


@pytest.mark.parametrize("name", sorted(set(documented_objects())))
def test_numpydoc(name):
    problems = [error for error in validate(name)["errors"] if error[0] not in IGNORED]
    assert not problems


NO_EXAMPLE = {"CoverageWarning", "study_table", "write_study", "Unrolled"}


@pytest.mark.parametrize("name", sorted(set(public_names())))
def test_public_names_have_examples(name):
    module, _, short = name.rpartition(".")
    doc = getattr(importlib.import_module(module), short).__doc__
    if short not in NO_EXAMPLE:
        assert ">>> " in doc
        assert short in doc.partition("Examples\n")[2]
