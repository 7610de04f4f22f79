"""The experiments of the paper: statistics by hand, runs that can be continued, and the page."""

import copy
import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from paper import measure as measuring
from paper import reproduce, run, write_findings
from paper.measure import COMBINED, PUBLISHED
from paper.nets import Nets, figures
from paper.page import findings_page
from paper.plan import BEYOND, PAPER, TASKS, Experiment
from paper.statistics import (
    Estimate,
    adjusted,
    difference,
    mean_over_nets,
    trend,
    verdict,
)
from paper.tables import markdown
from scipy.stats import t as student

from relayestimators._files import jsonable
from relayestimators.inspection import compare_rankings

# ---------------------------------------------------------------- statistics


def test_mean_over_nets_by_hand():
    values = np.array([0.1, 0.4, 0.3, np.nan, 0.2, 0.5])
    found = mean_over_nets(values, test=True)
    half = student.ppf(0.975, 4) * np.nanstd(values, ddof=1) / np.sqrt(5)
    assert (found.mean, found.n, found.effect) == (pytest.approx(0.3), 5, 1.0)
    assert (found.low, found.high) == (pytest.approx(0.3 - half), pytest.approx(0.3 + half))
    assert found.pvalue == 2 / 2**5  # all five values have the same sign
    assert verdict(found) == "open"
    assert verdict(mean_over_nets(-np.arange(1.0, 11), test=True)) == "reversed"
    assert verdict(mean_over_nets(values)) == "not tested"


def test_no_verdict_if_mean_and_ranks_disagree():
    """Eleven of twelve networks are below 0, and one outlier lifts the mean above it."""
    values = np.append(np.linspace(-0.3, -0.1, 11), 9.0)
    found = mean_over_nets(values, test=True)
    assert found.mean > 0
    assert found.pvalue < 0.05
    assert verdict(found) == "open"


def test_difference_by_hand():
    found = difference([3.0, 4.0, 5.0, 6.0], [1.0, 2.0, 2.5, 3.5])
    assert found.mean == pytest.approx(4.5 - 2.25)
    assert found.effect == 15 / 16  # one of 16 pairs has the opposite order
    assert found.pvalue == pytest.approx(4 / 70)  # two of 70 orders are as extreme, on either side
    welch = np.sqrt(np.var([3, 4, 5, 6], ddof=1) / 4 + np.var([1, 2, 2.5, 3.5], ddof=1) / 4)
    assert found.high - found.mean > 1.96 * welch


@pytest.mark.parametrize("values", [[], [np.nan], [0.3], [0.2, 0.2, 0.2], [0.0, 0.0]])
def test_few_or_equal_nets(values):
    found = mean_over_nets(values, test=True)
    assert found.n == np.sum(~np.isnan(values))
    both = difference(values, values)
    assert both.n == found.n
    assert np.isnan(both.mean) if not found.n else both.mean == 0
    assert verdict(both) in ("open", "not tested")


def test_trend():
    assert trend([0, 0, 1, 1, 2, 2], [1, 2, 3, 4, 5, 6])[0] == pytest.approx(0.956, abs=1e-3)
    assert np.isnan(trend([0, 1, 2], [1, 1, 1])).all()
    assert np.isnan(trend([0, 1], [1, 2])).all()


def test_adjusted_is_benjamini_and_hochberg():
    def of(p):
        return Estimate(1.0, 0.5, 1.5, p, 1.0, 10)

    found = adjusted({"a": of(0.01), "b": of(0.04), "c": of(0.03), "d": of(np.nan)})
    assert [found[key].pvalue for key in "abc"] == pytest.approx([0.03, 0.04, 0.04])
    assert np.isnan(found["d"].pvalue)
    assert verdict(found["a"]) == "holds" and verdict(found["d"]) == "not tested"


# ---------------------------------------------------------------- the runs


def test_the_plan_has_every_network_once():
    nets = run._experiments(10, 5)
    paper = [net for group in PAPER.experiments(range(10)).values() for net in group]
    assert len(paper) == 10 * 3 * len(TASKS)
    # All questions share the standard level.
    levels = sum(len(question.levels) - 1 for question in BEYOND.values())
    assert len(nets) == len(paper) + 5 * 3 * levels
    assert len({net.name for net in nets}) == len(nets)
    assert sum(nets.values()) == 5 * 3  # measured in depth


def fake_measure(experiment, **options):
    fake_measure.ran.append(experiment.name)
    return {"accuracy": 1.0, "seconds": 0.0} | options


@pytest.fixture
def few(monkeypatch):
    """A plan of two networks that take no time."""
    nets = {Experiment("memory", "RNN", 0): True, Experiment("memory", "GRU", 0): False}
    monkeypatch.setattr(run, "_experiments", lambda *seeds: nets)
    monkeypatch.setattr(run, "measure", fake_measure)
    fake_measure.ran = []
    return nets


def test_a_stopped_run_can_be_continued(few, tmp_path, monkeypatch):
    first = reproduce(tmp_path, quick=True)
    assert sorted(fake_measure.ran) == ["memory-GRU-seed=0", "memory-RNN-seed=0"]
    assert [net["cell"] for net in first["nets"]] == ["RNN", "GRU"]
    assert [net["in_depth"] for net in first["nets"]] == [True, False]
    assert json.loads((tmp_path / "results.json").read_text())["nets"] == first["nets"]
    next(tmp_path.glob("nets/memory-GRU*")).unlink()
    again = reproduce(tmp_path, quick=True)
    assert fake_measure.ran[2:] == ["memory-GRU-seed=0"]
    assert again["nets"] == first["nets"]
    reproduce(tmp_path, quick=False)  # results of quick runs are not used here
    assert len(fake_measure.ran) == 5


def test_a_failed_run_keeps_the_results_so_far(few, tmp_path, monkeypatch):
    def failing(experiment, **options):
        if experiment.cell == "GRU":
            raise RuntimeError("failed on purpose")
        return fake_measure(experiment, **options)

    monkeypatch.setattr(run, "measure", failing)
    with pytest.raises(RuntimeError, match="failed on purpose"):
        reproduce(tmp_path, quick=True)
    assert len(list(tmp_path.glob("nets/*.json"))) == 1
    assert not list(tmp_path.glob("**/*.part"))


@pytest.mark.parametrize(
    ("options", "match"),
    [({"n_seeds": 0}, "n_seeds=0"), ({"n_seeds": 2, "n_seeds_beyond": 3}, "n_seeds_beyond=3")],
)
def test_invalid_numbers_of_seeds(options, match, tmp_path):
    with pytest.raises(ValueError, match=match):
        reproduce(tmp_path, **options)


def test_jsonable_round_trip():
    given = {"a": np.array([[1.0, np.nan], [np.inf, -2.5]]), 3: (np.int8(4), np.bool_(True), "x")}
    read = json.loads(json.dumps(jsonable(given), allow_nan=False))
    np.testing.assert_array_equal(np.array(read["a"], dtype=float), given["a"])
    assert read["3"] == [4, True, "x"]


@pytest.mark.parametrize(("value", "digits", "expected"), [(1 / 3, 3, 0.333), (1 / 3, 17, 1 / 3)])
def test_jsonable_rounds_to_digits(value, digits, expected):
    assert jsonable([value], digits=digits) == [expected]


def test_markdown_table():
    assert markdown(["a", "b"], [[1, "x"]]).splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| 1 | x |",
    ]


# ---------------------------------------------------------------- one network, and the page


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """The record of one network, measured in depth, with few random sets and sizes of sets."""
    path = tmp_path_factory.mktemp("nets") / "net.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "SET_SIZES", (1, 8))
        patch.setattr(measuring, "compare_rankings", partial(compare_rankings, n_random=2))
        run._measure_and_store(path, Experiment("memory", "LSTM", 0), in_depth=True, quick=True)
    return json.loads(path.read_text())


@pytest.mark.parametrize(("accuracy", "expected"), [(0.8, True), (0.7, False), (0.0, False)])
def test_half_of_the_way_to_perfect_accuracy_is_learned(accuracy, expected):
    assert measuring.has_learned(accuracy, majority=0.5) == expected


def test_the_record_of_a_network(record):
    assert set(record["places"]) == {"h0", "c0"}
    for place in record["places"].values():
        similarity = np.array(place["drift"]["throughput"]["similarity"], float)
        assert similarity.shape == (8,)  # lags 0 to 7 of the delay
        assert similarity[0] == pytest.approx(1)
        for losses in place["knockouts"].values():
            assert set(losses["own"]) == {PUBLISHED, "throughput", COMBINED}
            assert losses["random"] <= losses["information"]
        assert all(-1 <= value <= 1 for value in place["agreement"].values() if value is not None)
    assert record["history"]["accuracy"][-1] == pytest.approx(record["train_accuracy"], abs=0.15)
    assert record["history"]["final"][-1] == pytest.approx(1)
    means = np.array(record["path"]["means"], float)
    assert means.shape == (8, 12, 3)


@pytest.fixture(scope="module")
def results(record):
    """Results in which the values behind the claims are planted."""
    rng = np.random.default_rng(0)
    nets = []
    for experiment, in_depth in run._experiments(4, 2).items():
        net = copy.deepcopy(record) | jsonable(experiment._asdict())
        # The last network of every group did not learn.
        net["accuracy"], net["learned"] = 0.9, experiment.seed != 3
        layers = dict(experiment.net_options).get("module__num_layers", 1)
        places = net["places"]
        for layer in range(1, layers):
            places |= {f"{state}{layer}": copy.deepcopy(places[f"{state}0"]) for state in "hc"}
        if experiment.cell != "LSTM":
            net["places"] = places = {k: v for k, v in places.items() if k[0] == "h"}
        for where, place in places.items():
            base = 0.3 if experiment.cell == "RNN" else 0.9
            drift = place["drift"]
            for planted in (drift["throughput"]["similarity"], drift["stability"]):
                planted[1] = base + 0.01 * rng.random()  # a network this small may have no drift
            for losses in place["knockouts"].values():
                own = 0.5 if where[0] == "h" else 0.75
                losses["own"][COMBINED], losses["other"][COMBINED] = own, own - 0.375
        if not in_depth:
            net = {
                k: v for k, v in net.items() if k not in ("history", "knockouts_by", "path", "map")
            }
        nets.append(net)
    settings = {"seeds": 4, "seeds beyond": 2, "quick": True}
    return {"settings": settings, "versions": {"numpy": "2.0"}, "seconds": 1, "nets": nets}


def test_networks_that_did_not_learn_are_left_out(results):
    group = Nets(results).group("memory", "RNN")
    path = "drift", "throughput", "similarity", 1
    assert [len(figures(group, *path, learned=only)) for only in (True, False)] == [3, 4]


@pytest.fixture
def one_file_only(monkeypatch):
    """Rendering takes most of the time, so all figures are drawn but only one is saved."""
    save = Figure.savefig

    def savefig(figure, path, **options):
        if path.name == "rankings.png":
            save(figure, path, **options)
        else:
            path.touch()

    monkeypatch.setattr(Figure, "savefig", savefig)


def test_the_page_reports_the_results(results, tmp_path, one_file_only):
    paths = write_findings(results, tmp_path)
    page = paths[0].read_text()
    assert "--quick" in page and "numpy 2.0" in page
    majority = f"{results['nets'][0]['majority']:.2f}"
    assert f"| memory | RNN | {majority} | 0.900 [0.900, 0.900] | 3 of 4 |" in page
    row = next(line for line in page.splitlines() if line.startswith("| similarity, `throughput`"))
    assert re.search(r"\| GRU - RNN \| 0\.[56]\d \[0\.[56]\d, 0\.[56]\d\] \| 1\.00 \|", row)
    losses, own_less_other = r"0\.500 / 0\.125 / [-.\d]+", r"0\.375 \[0\.375, 0\.375\]"
    assert re.search(rf"`{re.escape(COMBINED)}` \| {losses} \| {own_less_other} \|", page)
    cells = page.split("### Memory cells")[1].split("###")[0]
    assert "| memory | 0.500 [0.500, 0.500] | 0.750 [0.750, 0.750] | 0.250 [" in cells
    rankings = page.split("### Rankings")[1]
    assert re.search(r"\| until the end \| memory \|.* 0\.375 \[0\.375, 0\.375\] \|", rankings)
    assert "not tested" not in page.split("## Networks")[0]
    drawn = set(re.findall(r"\]\((\w+\.png)\)", page))
    assert drawn == {path.name for path in paths[1:]}
    assert paths[-1].name == "rankings.png"
    assert all(paths[i].stat().st_size > 5000 for i in (0, -1))


@pytest.mark.slow
def test_the_stored_page_is_written_from_the_stored_results():
    folder = Path(__file__).parent.parent / "docs" / "findings"
    results = json.loads((folder / "results.json").read_text())
    assert findings_page(results) == (folder / "findings.md").read_text()
