"""What contributors and installers are told is true: versions, tools, targets, skipped tests."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import SKIPS
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
EXTRAS = PROJECT["project"]["optional-dependencies"]


def pins(file):
    """Return the version that a file of constraints names, by package."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    return {name: Version(number) for name, number in (line.split("==") for line in lines if line)}


def lowest(lines):
    """Return the lowest version that requirements allow, by package; they have no upper bound."""
    bounds = {}
    for requirement in map(Requirement, lines):
        ((operator, version),) = [(s.operator, s.version) for s in requirement.specifier]
        assert operator == ">=", requirement
        bounds[requirement.name] = Version(version)
    return bounds


EVERY = lowest(
    [*PROJECT["project"]["dependencies"], *sum(EXTRAS.values(), [])]
    + PROJECT["dependency-groups"]["dev"]
)
TESTED = lowest([*PROJECT["project"]["dependencies"], *EXTRAS["plot"], *EXTRAS["test"]])


def test_oldest_versions_are_the_lower_bounds():
    oldest = pins("constraints-oldest.txt")
    assert {name: oldest.get(name) for name in TESTED} == TESTED


def test_the_tested_set_satisfies_the_lower_bounds():
    newest = pins("constraints.txt")
    assert not EVERY.keys() - newest.keys() - lowest(EXTRAS["bench"]).keys()
    assert not [name for name in EVERY.keys() & newest.keys() if newest[name] < EVERY[name]]


def test_extras_share_their_bounds():
    for extra in EXTRAS.values():
        assert all(EVERY[name] == bound for name, bound in lowest(extra).items())


def test_pre_commit_runs_the_ruff_of_make_lint():
    config = (ROOT / ".pre-commit-config.yaml").read_text()
    versions = re.findall(r"ruff==([\d.]+)", config)
    assert len(versions) == config.count("- id: ruff-")
    assert set(map(Version, versions)) == {pins("constraints.txt")["ruff"]}


def test_citation_names_the_version():
    (version,) = re.findall(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert version == PROJECT["project"]["version"]


def test_contributing_lists_every_lower_bound():
    rows = re.findall(r"^\| ([\w-]+) \| ([\d.]+) \|", CONTRIBUTING, re.MULTILINE)
    assert {name: Version(number) for name, number in rows} == TESTED


def test_contributing_lists_every_reason_to_skip():
    assert all(f'| "{reason}" | {meaning}' in CONTRIBUTING for reason, meaning in SKIPS.items())


def test_contributing_names_targets_files_and_links_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z-]+)`", CONTRIBUTING):
        assert re.search(rf"^{target}:.*##", makefile, re.MULTILINE), target
    for path in re.findall(
        r"`((?:relayestimators|tests|docs|examples|\.ci)/[\w/.]*)`", CONTRIBUTING
    ):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"\]\((?!http)([\w/.-]+)", CONTRIBUTING):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("reason, status", [(next(iter(SKIPS)), 0), ("I was lazy", 1)])
def test_a_skipped_test_needs_a_reason_that_is_listed(reason, status, tmp_path):
    code = f"import pytest\n@pytest.mark.skip(reason={reason!r})\ndef test_nothing():\n    pass\n"
    code += "def test_something():\n    pass\n"
    (tmp_path / "test_skipped.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "-p", "conftest", str(tmp_path)]
    paths = os.pathsep.join([str(ROOT / "tests"), str(ROOT)])
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stdout.count(f"1  {reason}: ") == 1
    assert ("NOT ALLOWED" in done.stdout) == bool(status)
