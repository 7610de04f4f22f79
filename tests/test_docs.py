"""Shared parameter descriptions: every entry is used, and every reference is filled in."""

import importlib
import re

import pytest
from test_house import FILES, dotted

from relayestimators._docs import PARAMETERS, fill_docs


def test_an_entry_is_indented_and_completed_by_the_text_after_it():
    def documented():
        """Do something.

        Parameters
        ----------
        %(random_state)s the sets
        %(verbose)s
        """

    lines = fill_docs(documented).__doc__.splitlines()
    assert lines[4:6] == [
        "        random_state : int, RandomState instance or None, default=None",
        "            Controls the randomness of the sets. Pass an int for reproducible results.",
    ]
    assert lines[6].strip() == "verbose : int, default=0"


def test_particular_text_is_appended_where_the_entry_has_no_place_for_it():
    def documented():
        """Do.

        %(verbose)s It is written to stderr.
        """

    assert "progress bar. It is written to stderr." in fill_docs(documented).__doc__


def test_an_unknown_entry_is_an_error():
    def documented():
        """%(nonsense)s"""

    with pytest.raises(KeyError, match="nonsense"):
        fill_docs(documented)


def test_every_entry_is_used_and_filled():
    text = "\n".join(text for path, text in FILES.items() if path.name != "_docs.py")
    used = set(re.findall(r"^ *%\((\w+)\)s", text, re.MULTILINE))
    assert used == set(PARAMETERS)
    for path in FILES:
        for value in vars(importlib.import_module(dotted(path))).values():
            assert not re.search(r"^ *%\(\w+\)s", getattr(value, "__doc__", "") or "", re.MULTILINE)
