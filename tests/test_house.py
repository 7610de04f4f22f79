"""How the package is laid out: layers, names, third parties, and an import that stays cheap."""

import ast
import importlib
import inspect
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import relayestimators

PACKAGE = Path(relayestimators.__file__).parent

# A module may import those of lower layers, and those before it in its own layer.
LAYERS = {
    "foundation": ["_validation", "_base", "_docs", "_files", "_intervals", "_runtime", "panels"],
    "measures": ["relay", "_clusters", "discretization", "dynamics"],
    "nets": ["networks", "datasets", "classifiers"],
    "estimators": ["_exchange", "_attribution", "analyzer", "knockout", "callbacks"],
    "inspection": ["inspection"],
    "apps": ["displays", "report", "sktime", "__init__", "__main__"],
}
ORDER = [module for layer in LAYERS.values() for module in layer]

# Which modules may import which library, besides numpy, joblib, tqdm and scikit-learn.
FENCES = {
    "torch": {"_runtime", "networks", "datasets", "classifiers", "callbacks", "inspection"}
    | {"_attribution", "__main__"},
    "skorch": {"classifiers", "callbacks"},
    "numba": {"relay", "_clusters", "networks"},
    "sktime": {"panels", "datasets", "sktime"},
    "matplotlib": {"displays", "report"},
    "captum": {"inspection"},
    "scipy": {"_intervals", "relay", "dynamics", "classifiers", "inspection"},
    "pandas": set(),
    "llvmlite": set(),
}
LAZY = {"sktime", "matplotlib", "captum"}  # imported inside functions only

FILES = {path.relative_to(PACKAGE): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}


def dotted(path):
    """Return the name by which a file is imported."""
    return ".".join(("relayestimators", *path.with_suffix("").parts)).removesuffix(".__init__")


def is_public(path):
    return not any(part.startswith("_") for part in dotted(path).split("."))


PUBLIC = [path for path in FILES if is_public(path)]


def module_of(path):
    """Return the module of the layers that a file belongs to."""
    return path.parts[0].removesuffix(".py")


def imports_of(path):
    """Return (modules of ours, libraries, libraries imported at the top) of a file."""
    ours, libraries, on_top = set(), set(), set()
    tree = ast.parse(FILES[path])
    inside = len(path.parts) > 1  # of a package
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            if node.level == 2 or not inside:
                ours |= {name.split(".")[0] for name in names}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            found = {name.split(".")[0] for name in names or [alias.name for alias in node.names]}
            libraries |= found
            on_top |= found if node in tree.body else set()
    return ours, libraries, on_top


def test_every_module_has_a_layer():
    assert {module_of(path) for path in FILES} == set(ORDER)
    assert len(LAYERS) <= 6


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_go_down(path):
    for other in imports_of(path)[0]:
        assert ORDER.index(other) < ORDER.index(module_of(path)), f"{path} imports {other}"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_third_parties_are_fenced(path):
    _, libraries, on_top = imports_of(path)
    for library, allowed in FENCES.items():
        assert library not in libraries or module_of(path) in allowed, f"{path}: {library}"
    # relayestimators.sktime derives from a class of sktime, and is imported by its name only
    assert not on_top & LAZY - ({"sktime"} if module_of(path) == "sktime" else set())


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_are_short_and_say_what_they_are(path):
    assert FILES[path].count("\n") <= 600
    assert ast.get_docstring(ast.parse(FILES[path]))


def test_what_is_private_begins_with_an_underscore():
    """Files inside packages are private: what is public is imported from the package."""
    assert all(path.name.startswith("_") for path in FILES if len(path.parts) > 1)


def test_no_two_files_of_one_name():
    names = Counter(path.stem.strip("_") for path in FILES if path.stem != "__init__")
    names += Counter(path.parent.name for path in FILES if path.stem == "__init__")
    assert not [name for name, count in names.items() if count > 1]


@pytest.mark.parametrize("path", PUBLIC, ids=str)
def test_public_modules_list_their_names(path):
    module = importlib.import_module(dotted(path))
    assert sorted(module.__all__) == module.__all__
    assert not [name for name in module.__all__ if name.startswith("_")]
    defined = {
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) or inspect.isfunction(value)
        if value.__module__ == module.__name__ and not name.startswith("_")
    }
    assert defined <= set(module.__all__)
    for name in module.__all__:
        assert hasattr(module, name)


def test_few_names_at_the_top():
    assert len(relayestimators.__all__) <= 30


def test_import_leaves_sktime_and_matplotlib_alone():
    code = (
        "import sys, relayestimators; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'sktime', 'matplotlib'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_works_without_matplotlib():
    """Everything but drawing works in a process where matplotlib cannot be imported."""
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
