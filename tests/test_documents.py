"""What the README and the examples show works when pasted."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# a test named without a file is in the file named before
NAMED = re.compile(r"(?:tests/)?([\w/]*\.py)?::(test_\w+)")


def run(code, folder):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_readme_example(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line for line in code.splitlines() if line and not line.startswith("#")]
    assert len(lines) <= 15
    shown = run(code, tmp_path)
    assert "(2, 24, 32)" in shown
    intact, without = re.findall(r"0\.\d+", shown)[0], re.findall(r"0\.\d+", shown)[-1]
    assert float(intact) > float(without) > 0.3


def _example(path):
    marks = [pytest.mark.slow] if path.stem == "relay_search" else []
    return pytest.param(path, marks=marks, id=path.stem)


@pytest.mark.parametrize("path", [_example(path) for path in sorted(ROOT.glob("examples/*.py"))])
def test_examples(path, tmp_path):
    assert run(path.read_text(), tmp_path)


def test_readme_names_commands_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert "exec make test" in (ROOT / ".ci" / "run").read_text()


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


def _tests_in(file):
    tree = ast.parse((ROOT / "tests" / file).read_text())
    return [node.name for node in tree.body if getattr(node, "name", "").startswith("test_")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tests_named_on_a_page_are_there(page):
    text, file = page.read_text(), None
    for named_file, name in NAMED.findall(text):
        file = named_file or file
        assert name in _tests_in(file), f"{file}::{name}"
    for file, word in re.findall(r"pytest tests/([\w/]+\.py) -k (\w+)", text):
        assert any(word in name for name in _tests_in(file)), f"{file} -k {word}"


def test_every_row_of_the_compatibility_page_names_its_tests():
    """The first test of a row names its file, so that a row can be moved."""
    rows, header = 0, True
    for line in (ROOT / "docs" / "compatibility.md").read_text().splitlines():
        if header or not line.startswith("|"):  # the next table begins with its header
            header = not line.startswith("|")
        elif not line.startswith("|---"):
            named = NAMED.findall(line)
            assert named, line
            assert named[0][0], line
            rows += 1
    assert rows > 50
