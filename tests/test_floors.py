"""Imports go down only, third parties stay where they belong, importing stays cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import relayestimators

PACKAGE = Path(relayestimators.__file__).parent

FLOORS = {
    "_inner": 0,
    "_text": 0,
    "_validation": 0,
    "information": 0,
    "counting": 0,
    "networks": 1,
    "panels": 1,
    "drift": 1,
    "state_space": 1,
    "tasks": 1,
    "discretization": 1,
    "relay": 1,
    "composition": 2,
    "classifiers": 2,
    "analyzer": 3,
    "knockout": 3,
    "rankings": 4,
    "callbacks": 4,
    "adapters": 5,
    "studies": 5,
    "displays": 6,
    "report": 7,
    "reproduction": 7,
    "__main__": 8,
    "__init__": 9,
}

# Who may import what, besides numpy, joblib, tqdm and scikit-learn.
FENCES = {
    "torch": {"callbacks", "networks", "composition", "classifiers", "rankings", "__main__"},
    "skorch": {"callbacks", "classifiers"},
    "numba": {"counting", "networks"},
    "llvmlite": {"networks"},
    "sktime": {"adapters", "panels"},
    "matplotlib": {"displays", "report", "reproduction"},
    "captum": {"rankings"},
    "pandas": set(),
    "scipy": {"classifiers", "drift", "relay", "reproduction", "studies"},
}
LAZY = {"sktime", "matplotlib", "captum"}  # inside functions only

# A module is a file, or a package of files that share its floor.
FILES = {path.relative_to(PACKAGE): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = sorted({path.parts[0].removesuffix(".py") for path in FILES})


def files_of(module):
    return [text for path, text in FILES.items() if path.parts[0].removesuffix(".py") == module]


def imports(module):
    """Return (modules of ours, third parties, third parties imported at the top) of a module."""
    inside, outside, on_top = set(), set(), set()
    for text in files_of(module):
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                if not (node.module or "").startswith("_") or node.module in FLOORS:
                    inside.add(node.module)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                whole = [node.module] if isinstance(node, ast.ImportFrom) else []
                names = whole or [alias.name for alias in node.names]
                roots = {name.split(".")[0] for name in names}
                outside |= roots
                if node in tree.body:
                    on_top |= roots
    return inside, outside, on_top


def test_every_module_has_a_floor():
    assert set(MODULES) == set(FLOORS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module):
    for other in imports(module)[0]:
        assert FLOORS[other] < FLOORS[module], f"{module} imports {other}, which is not below it"


@pytest.mark.parametrize("module", MODULES)
def test_third_parties_are_fenced(module):
    _, outside, on_top = imports(module)
    for library, allowed in FENCES.items():
        assert library not in outside or module in allowed, f"{module} imports {library}"
    # adapters is imported by its name only, by those who have sktime in hand
    assert not on_top & LAZY - ({"sktime"} if module == "adapters" else set())


@pytest.mark.parametrize("module", MODULES)
def test_modules_say_where_they_live_and_stay_small(module):
    assert all(text.count("\n") <= 600 for text in files_of(module))
    if module != "__init__":
        docs = [ast.get_docstring(ast.parse(text)) for text in files_of(module)]
        assert all(docs)
        assert any(f"Floor {FLOORS[module]}" in doc for doc in docs)


def test_public_names():
    assert sorted(relayestimators.__all__) == relayestimators.__all__
    for name in relayestimators.__all__:
        assert hasattr(relayestimators, name)


def test_import_leaves_sktime_and_matplotlib_alone():
    code = (
        "import sys, relayestimators; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'sktime', 'matplotlib'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_works_without_matplotlib():
    """Everything but drawing, in a process where matplotlib cannot be imported."""
    code = """
import sys
sys.modules["matplotlib"] = None
import numpy as np
from relayestimators import RNNClassifier, RelayAnalyzer, relay_study
from relayestimators.report import study_table
rng = np.random.default_rng(0)
X, y = rng.normal(size=(80, 1, 4)), np.arange(80) % 2
net = RNNClassifier(max_epochs=1, random_state=0, module__hidden_size=4)
print(study_table(relay_study({"RNN": net}, X[:20], y[:20], X[20:], y[20:], n_random=1)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Information relays" in done.stdout
