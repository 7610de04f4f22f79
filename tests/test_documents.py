"""Documents: their code runs, their links and test names exist, and their spelling is American."""

import ast
import importlib
import re
import runpy
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from relayestimators import RNNClassifier
from relayestimators.datasets import make_memory_task

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
# A test that is named without a file is in the file named before it.
NAMED = re.compile(r"(?:tests/)?([\w/]*\.py)?::(test_\w+)")
PYTHON_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


# ---------------------------------------------------------------- code


def test_readme_example(tmp_path):
    """The example runs as it is pasted, in a process of its own, and has at most 15 lines."""
    (code,) = PYTHON_BLOCK.findall((ROOT / "README.md").read_text())
    lines = [line for line in code.splitlines() if line and not line.startswith("#")]
    assert len(lines) <= 15
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"OMP_NUM_THREADS": "1", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "(2, 24, 32)" in done.stdout
    intact, *_, without = map(float, re.findall(r"0\.\d+", done.stdout))
    assert intact > without > 0.3


def test_code_in_the_user_guide():
    """All blocks run one after the other, given the data and networks that the text speaks of."""
    task = make_memory_task(96, delay=3, random_state=0)
    X, y = task.data, task.target
    rng = np.random.default_rng(0)
    nets = [
        RNNClassifier(max_epochs=1, module__hidden_size=4, random_state=seed).fit(X, y)
        for seed in range(2)
    ]
    names = {
        "task": task,
        "nets": nets,
        "concept_in": rng.integers(0, 2, (40, 1)),
        "concept_out": rng.integers(0, 2, (40, 1)),
        "states": rng.integers(0, 2, (40, 2, 3)),
    }
    blocks = PYTHON_BLOCK.findall((ROOT / "docs" / "user_guide.md").read_text())
    assert len(blocks) > 5
    for block in blocks:
        # Processes take long to start; test_with_joblib.py has tests of loky and dask.
        code = compile(block.replace('"loky"', '"threading"'), "user_guide.md", "exec")
        if "distributed" in block:
            continue
        if "cross_validate(" in block:  # trains with the default number of epochs
            names |= {"X": X[:16, :, :2], "y": np.arange(16) % 2}
        else:
            names |= {"X": X, "y": y}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(code, names)


SLOW_EXAMPLES = ("relay_history", "relay_search", "sktime_benchmark")


def _example(path):
    marks = [pytest.mark.slow] if path.stem in SLOW_EXAMPLES else []
    return pytest.param(path, marks=marks, id=path.stem)


@pytest.mark.parametrize("path", [_example(path) for path in sorted(ROOT.glob("examples/*.py"))])
def test_examples(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out


def test_readme_shows_the_legend_of_a_study():
    """The output of ``make study`` in the README has the legend that the report writes."""
    (function,) = (
        node
        for node in ast.parse((ROOT / "relayestimators" / "report.py").read_text()).body
        if getattr(node, "name", "") == "study_table"
    )
    lines = [node.value for node in ast.walk(function) if isinstance(node, ast.Constant)]
    legend = [
        line for line in lines if isinstance(line, str) and len(line) > 40 and "\n" not in line
    ]
    assert len(legend) > 5
    shown = (ROOT / "README.md").read_text()
    assert not [line for line in legend if line not in shown]


def test_readme_names_commands_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert "exec make test" in (ROOT / ".ci" / "run").read_text()


# ---------------------------------------------------------------- links and names


def test_links_between_pages_lead_somewhere():
    headings = {
        page: {
            re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
            for line in page.read_text().splitlines()
            if line.startswith("#")
        }
        for page in PAGES
    }
    n_links = 0
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)]+)\)", page.read_text()):
            path, _, heading = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), f"{page.name}: {target}"
            assert not heading or heading in headings[there], f"{page.name}: {target}"
            n_links += 1
    assert n_links > 5


@pytest.mark.parametrize("name", ["README.md", "user_guide.md"])
def test_the_glossary_is_linked(name):
    (page,) = (page for page in PAGES if page.name == name)
    assert "how_to_talk_about_relays.md" in page.read_text()


@cache
def _tests_in(file):
    tree = ast.parse((ROOT / "tests" / file).read_text())
    return [node.name for node in tree.body if getattr(node, "name", "").startswith("test_")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tests_named_on_a_page_exist(page):
    text, file = page.read_text(), None
    for named_file, name in NAMED.findall(text):
        file = named_file or file
        assert name in _tests_in(file), f"{file}::{name}"
    for file, word in re.findall(r"pytest tests/([\w/]+\.py) -k (\w+)", text):
        assert any(word in name for name in _tests_in(file)), f"{file} -k {word}"


def test_every_row_of_the_compatibility_page_names_its_tests():
    """The first test of a row is named with its file, so that rows can be moved."""
    n_rows, header = 0, True
    for line in (ROOT / "docs" / "compatibility.md").read_text().splitlines():
        if header or not line.startswith("|"):  # a table begins with its header
            header = not line.startswith("|")
        elif not line.startswith("|---"):
            named = NAMED.findall(line)
            assert named, line
            assert named[0][0], line
            n_rows += 1
    assert n_rows > 50


# ---------------------------------------------------------------- the changelog

#: ``relayestimators.__all__`` before the package was rearranged (commit 7d328cb).
OLD_NAMES = set(
    """
Clamp CoverageWarning DriftDisplay GRUClassifier KnockoutCurveDisplay KnockoutDisplay
KnockoutTransformer LSTMClassifier PanelToTensor RNNClassifier RecurrentClassifier RecurrentNetwork
RelayAnalyzer RelayHistory RelayHistoryDisplay RelayMapDisplay StateDiscretizer StateSpaceDisplay
attractor_summary chance_similarity combine_rankings compare_rankings compose_networks
cross_validate_knockout drift_summary end_points half_life knockout_curve knockout_importance
knockout_specificity knockout_sweep load_panel localisation localisation_score make_block_task
make_memory_task panel_to_tensor participation rank_nodes relay_group relay_information
relay_lifetime relay_map relay_pairs relay_score relay_scores relay_similarity relay_study
shrinking_subset_aggregation silent_panel similarity_test specificity_score trajectory_pca
transport_distance
""".split()  # noqa: SIM905
)


def _rows_below(heading):
    """Return the (old, new) cells of the table below a heading of the changelog."""
    part = (ROOT / "CHANGELOG.md").read_text().split(f"#### {heading}\n")[1].split("####")[0]
    lines = [line for line in part.splitlines() if line.startswith("| `")]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]


def _find(name):
    """Return the object with a public name, given without the name of the package."""
    module, _, attribute = f"relayestimators.{name}".rpartition(".")
    module = importlib.import_module(module)
    assert attribute in module.__all__, name
    return getattr(module, attribute)


@pytest.mark.parametrize("heading", ["Names of the top level", "Names of submodules"])
def test_new_names_in_the_changelog_can_be_imported(heading):
    n_found = 0
    for old, new in _rows_below(heading):
        named = re.match(r"`([\w.]+)`", new)
        if named:
            _find(named[1])
            n_found += 1
        else:
            assert re.match("private|no longer", new), old
    assert n_found > 40


def test_the_changelog_has_every_old_name_once():
    names = [old.strip("`") for old, _ in _rows_below("Names of the top level")]
    assert len(names) == len(OLD_NAMES) == 54
    assert set(names) == OLD_NAMES
    others = [old.strip("`") for old, _ in _rows_below("Names of submodules")]
    assert len(others) == len(set(others)) > 80
    assert all(re.fullmatch(r"\w+\.\w+", name) for name in others)


# ---------------------------------------------------------------- spelling

BRITISH = re.compile(
    r"colour|behaviour|neighbour|favour|honour|modelled|modelling|labelled|labelling|cancelled"
    r"|travelled|analys(?:e|ed|er|ing)\b|catalogue|artefact|centre[ds]?\b|grey\b|licence"
    r"|[a-z]isation|(?:normal|general|optim|initial|local|discret|summar|visual|standard|minim|maxim"
    r"|recogn|regular|vector|organ|random|special)is(?:e[drs]?|ing)\b",
    re.IGNORECASE,
)
#: Old names, which the changelog and its test have to spell as they were.
OLD_SPELLINGS = re.compile(
    r"relay_localisation|mean_localisation|localisation(?:_score)?|by disc\w+"
)
TEXT_SUFFIXES = (".py", ".md", ".toml", ".cff", ".txt", ".yml", ".yaml", "")


def _tracked_files():
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("needs the git repository")
    paths = [ROOT / name for name in done.stdout.splitlines()]
    return [path for path in paths if path.suffix in TEXT_SUFFIXES and path.is_file()]


@pytest.mark.parametrize("word", ["colour", "Behaviour", "localisation", "analysed", "discretise"])
def test_british_spelling_is_recognized(word):
    assert BRITISH.search(f"a {word}.")
    assert not BRITISH.search("noise, precise, otherwise, analyses, centered, exercise, analyzed")


def test_spelling_is_american():
    found = []
    for path in _tracked_files():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if path.name == "CHANGELOG.md":
                line = OLD_SPELLINGS.sub("", line)
            place = f"{path.relative_to(ROOT)}:{number}"
            found += [f"{place}: {word[0]}" for word in BRITISH.finditer(line)]
    assert not found
