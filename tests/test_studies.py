"""Studies: numbers that can be got by hand, planted causes, files that can be read again."""

import csv
import json

import numpy as np
import pytest
from conftest import cut_short, make_panel
from sklearn.frozen import FrozenEstimator
from test_analyzer import hand_made_net

from relayestimators import (
    CoverageWarning,
    GRUClassifier,
    KnockoutTransformer,
    RNNClassifier,
    knockout_specificity,
    relay_study,
)
from relayestimators.__main__ import main
from relayestimators.information import mutual_information
from relayestimators.report import study_table, write_study


def test_losses_are_those_of_the_transformer(fitted):
    X, y = make_panel()
    relays = [[0, 1, 2], [4]]
    result = knockout_specificity(fitted, X, y, relays=relays, start=2, n_random=3, random_state=0)
    intact = fitted.predict(X)
    for k, label in enumerate(fitted.classes_):
        bits = mutual_information(y == label, intact == label)
        assert result.information[k] == pytest.approx(bits)
        for i, nodes in enumerate(relays):
            ablated = KnockoutTransformer(FrozenEstimator(fitted), nodes, start=2).fit(X, y)
            left = mutual_information(y == label, ablated.predict(X) == label)
            assert result.loss[i, k] == pytest.approx(bits - left)
            loss = fitted.score(X, y) - ablated.score(X, y)
            assert result.score_loss[i] == pytest.approx(loss)
    assert result.random_loss.shape == (2, 3, 3)
    assert result.random_score_loss.shape == (2, 3)


def test_the_node_that_carries_the_bit_costs_it_when_it_has_it_and_no_other_time():
    net, X, y = hand_made_net()
    for node in range(4):
        for start in range(4):
            result = knockout_specificity(
                net, X, y, relays=[[node]], start=start, stop=start + 1, n_random=0
            )
            expected = result.information if node == start else np.zeros(2)
            np.testing.assert_allclose(result.loss[0], expected, atol=1e-9)


def test_losses_do_not_depend_on_workers(fitted):
    X, y = make_panel()
    one, two = (
        knockout_specificity(
            fitted, X, y, relays=[[0], [1, 2]], n_random=2, random_state=0, n_jobs=jobs
        )
        for jobs in (None, 2)
    )
    assert one.keys() == two.keys()
    for key in one:
        np.testing.assert_equal(one[key], two[key])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"relays": [[9]]}, ValueError, r"relays\[0\] contains \[9\]; allowed are"),
        ({"relays": [[0]], "n_random": -1}, ValueError, "n_random=-1"),
        ({"relays": [[0]], "value": "median"}, ValueError, "value='median'"),
        ({"relays": [[0]], "start": 10}, ValueError, "start=10"),
    ],
)
def test_bad_options(options, error, match, fitted):
    with pytest.raises(error, match=match):
        knockout_specificity(fitted, *make_panel(), **options)


def test_no_sets_and_no_random_sets(fitted):
    X, y = make_panel()
    nothing = knockout_specificity(fitted, X, y, relays=[], n_random=2)
    assert nothing.loss.shape == (0, 3)
    assert nothing.random_loss.shape == (0, 2, 3)
    assert knockout_specificity(fitted, X, y, relays=[[0]], n_random=0).random_loss.shape == (
        1,
        0,
        3,
    )


def test_labels_that_do_not_fit(fitted):
    X, y = make_panel()
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[60, 40\]"):
        knockout_specificity(fitted, X, y[:40], relays=[[0]])


def test_study_leaves_out_time_steps_too_few_series_have(tmp_path):
    X, y = make_panel(n_instances=240, n_timepoints=8)
    X = cut_short(X, np.where(np.arange(240) < 4, 7, 5))  # step 7 nobody has, 5 and 6 four
    net = RNNClassifier(module__hidden_size=4, max_epochs=2, random_state=0)
    with pytest.warns(CoverageWarning):
        results = relay_study({"RNN": net}, X[60:], y[60:], X[:60], y[:60], n_random=0)
    assert results["RNN"].timepoints.tolist() == [0, 1, 2, 3, 4]
    assert results["RNN"].relays.shape == (3, 5, 1)
    assert "nan" in study_table(results)
    assert len(write_study(results, tmp_path, settings={})) == 6


@pytest.fixture(scope="module")
def study():
    X, y = make_panel(n_instances=240, n_timepoints=4)
    nets = {
        "RNN": RNNClassifier(module__hidden_size=8, max_epochs=20, random_state=0),
        "GRU": GRUClassifier(module__hidden_size=8, max_epochs=20, random_state=0),
    }
    return relay_study(nets, X[:90], y[:90], X[90:], y[90:], n_relays=2, n_random=3, random_state=0)


def test_study_has_the_shapes_it_promises(study):
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


def test_study_knocks_out_the_relays_it_found(study):
    for result in study.values():
        for concept in range(3):
            for t in range(4):
                expected = result.analyzer.relays(concept, t)
                np.testing.assert_array_equal(result.relays[concept, t], expected)


def test_table_and_files_say_what_was_measured(study, tmp_path):
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
    ]
    assert paths[0].read_text() == table + "\n"
    document = json.loads(paths[1].read_text())
    assert document["settings"] == {"dataset": "a test"}
    assert "torch" in document["versions"]
    result = study["GRU"]
    np.testing.assert_allclose(document["results"]["GRU"]["loss"], result.loss)
    np.testing.assert_allclose(document["results"]["GRU"]["relay_map"], result.analyzer.relay_map_)
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


def test_command_line_is_silent_when_asked_and_helps(tmp_path, capsys):
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
        ("--relays 9 --hidden-size 8", "--relays=9; expected a whole number from 1 to 8"),
        ("--random-sets -1", "--random-sets=-1; expected a whole number from 0"),
        ("--output {file}", "File exists"),
    ],
)
def test_command_line_refuses_before_it_works(arguments, match, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(SystemExit):
        main(["study", "--dataset", "UnitTest", *arguments.format(file=file).split()])
    assert match in capsys.readouterr().err
    assert file.read_text() == "mine"
