"""relay_study, its table and files, and the command line."""

import csv
import json

import numpy as np
import pytest
import torch
from conftest import cut_short, make_panel
from known_nets import hand_made_net
from sklearn.frozen import FrozenEstimator

from relayestimators import (
    CoverageWarning,
    GRUClassifier,
    RelayAnalyzer,
    RNNClassifier,
    relay_study,
)
from relayestimators.__main__ import main
from relayestimators.relay import RelayMapWarning
from relayestimators.report import _beaten, _strongest, study_table, write_study


def test_study_omits_time_steps_of_few_series(tmp_path):
    X, y = make_panel(n_instances=240, n_timepoints=8)
    X = cut_short(X, np.where(np.arange(240) < 4, 7, 5))  # 4 series have steps 5 and 6, none 7
    net = RNNClassifier(module__hidden_size=4, max_epochs=2, random_state=0)
    with pytest.warns(CoverageWarning):
        results = relay_study({"RNN": net}, X[60:], y[60:], X[:60], y[:60], n_random=0)
    assert results["RNN"].timepoints.tolist() == [0, 1, 2, 3, 4]
    assert results["RNN"].relays.shape == (3, 5, 1)
    assert "nan" in study_table(results)
    assert len(write_study(results, tmp_path, settings={})) == 9


@pytest.fixture(scope="module")
def study():
    X, y = make_panel(n_instances=240, n_timepoints=4)
    nets = {
        "RNN": RNNClassifier(module__hidden_size=8, max_epochs=20, random_state=0),
        "GRU": GRUClassifier(module__hidden_size=8, max_epochs=20, random_state=0),
    }
    return relay_study(nets, X[:90], y[:90], X[90:], y[90:], n_relays=2, n_random=3, random_state=0)


def test_study_has_the_documented_shapes(study):
    assert list(study) == ["RNN", "GRU"]
    for result in study.values():
        assert result.accuracy > 0.8
        assert result.recall.shape == result.information.shape == (3,)
        assert result.relays.shape == (3, 4, 2)
        assert result.loss.shape == (3, 4, 3)
        assert result.accuracy_loss.shape == (3, 4)
        assert result.random_loss.shape == (3, 4, 3, 3)
        assert result.random_accuracy_loss.shape == (3, 4, 3)
        assert result.analyzer.n_instances_.tolist() == [75] * 4  # half of the test data
        assert result.timepoints.tolist() == [0, 1, 2, 3]


def test_study_knocks_out_the_relays_of_its_analyzer(study):
    for result in study.values():
        for concept in range(3):
            for t in range(4):
                expected = result.analyzer.relays(concept, t)
                np.testing.assert_array_equal(result.relays[concept, t], expected)


def test_small_differences_do_not_beat_random_sets():
    """Losses of .000 against .000, or of .003, are not told apart."""
    assert _beaten(0.0, np.zeros(20)) == 0.5
    assert _beaten(0.003, np.zeros(20)) == 0.5
    assert _beaten(0.2, np.array([0.0, 0.1, 0.199, 0.3])) == pytest.approx((1 + 1 + 0.5) / 4)


def test_ties_are_said_and_not_named():
    """Nodes 1 and 2 are copies of each other, of which one is chosen besides node 0."""
    net, X, y = hand_made_net()
    with torch.no_grad():
        weights = dict(net.module_.named_parameters())
        weights["recurrent.weight_ih_l0"][:3, 0] = torch.tensor([3.0, 0.0, 0.0])
        weights["recurrent.weight_hh_l0"][2, 0] = weights["recurrent.weight_hh_l0"][1, 0]
        weights["recurrent.weight_hh_l0"][0, 0] = 3.0
    with pytest.warns(RelayMapWarning, match="tied"):
        analyzer = RelayAnalyzer(FrozenEstimator(net), n_relays=2, timepoints=1).fit(X, y)
    assert _strongest(analyzer, 0, 1) == "t=1: 2 of 3 that are tied"
    analyzer.relay_map_[0, 0, 0] += 0.1  # node 0 is above the others
    analyzer.ties_[0, 0] = 2
    assert _strongest(analyzer, 0, 1) == "t=1: 0 1 of 2 that are tied"


def test_table_and_files_have_the_results(study, tmp_path):
    table = study_table(study, dataset="a test")
    assert "2 of 8" in table
    assert "two classes" not in table
    paths = write_study(study, tmp_path / "deep" / "study", settings={"dataset": "a test"})
    assert [path.name for path in paths] == [
        "table.txt",
        "results.json",
        "relay_map.csv",
        "knockouts.csv",
        "relay_maps.png",
        "knockouts.png",
        *(
            f"{net}_{k}_{label}.png"
            for net, result in study.items()
            for k, label in enumerate(result.analyzer.classes_)
        ),
    ]
    assert paths[0].read_text() == table + "\n"
    document = json.loads(paths[1].read_text())
    assert document["settings"] == {"dataset": "a test"}
    assert "torch" in document["versions"]
    result = study["GRU"]
    np.testing.assert_allclose(document["results"]["GRU"]["loss"], result.loss)
    np.testing.assert_allclose(document["results"]["GRU"]["relay_map"], result.analyzer.relay_map_)
    np.testing.assert_allclose(document["results"]["GRU"]["carried"], result.analyzer.carried_)
    steps = np.isin(result.analyzer.timepoints_, result.timepoints)
    assert f"{result.analyzer.carried_[0, steps].mean():.3f}" in table
    with paths[2].open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * 4 * 8
    row = next(r for r in rows if (r["net"], r["class"], r["timepoint"]) == ("GRU", "low", "3"))
    value = result.analyzer.relay_map_[1, 3, int(row["node"])]
    assert float(row["relay_information_bits"]) == pytest.approx(value)
    with paths[3].open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * 4 * 3 * (1 + 3)
    for path in paths[4:]:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 10_000


def test_nan_becomes_null(study, tmp_path):
    import copy

    holed = copy.deepcopy(study)
    holed["RNN"].analyzer.relay_map_[0, 0] = np.nan
    path = write_study(holed, tmp_path, settings={})[1]
    document = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert document["results"]["RNN"]["relay_map"][0][0] == [None] * 8


def test_command_line(tmp_path, capsys):
    arguments = "study --dataset UnitTest --cells RNN --epochs 2 --hidden-size 4 --relays 1"
    arguments += f" --random-sets 2 --output {tmp_path / 'out'}"
    assert main(arguments.split()) == 0
    shown = capsys.readouterr()
    assert "Information relays in UnitTest" in shown.out
    assert "the same by definition" in shown.out  # two classes
    assert "study" in shown.err  # the progress bar
    settings = json.loads((tmp_path / "out" / "results.json").read_text())["settings"]
    assert settings["epochs"] == 2
    assert settings["seed"] == 0


def test_command_line_is_quiet_and_names_bad_choices(tmp_path, capsys):
    main(
        f"study --dataset UnitTest --cells RNN --epochs 1 --relays 1 --random-sets 1 --quiet "
        f"--output {tmp_path}".split()
    )
    assert capsys.readouterr().err == ""
    with pytest.raises(SystemExit):
        main(["study", "--cells", "CNN"])
    assert "invalid choice: 'CNN'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ("--relays 9 --hidden-size 8", "--relays=9; expected an integer from 1 to 8"),
        ("--random-sets -1", "--random-sets=-1; expected an integer >= 0"),
        ("--output {file}", "File exists"),
    ],
)
def test_command_line_raises_errors_before_training(arguments, match, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(SystemExit):
        main(["study", "--dataset", "UnitTest", *arguments.format(file=file).split()])
    assert match in capsys.readouterr().err
    assert file.read_text() == "mine"
