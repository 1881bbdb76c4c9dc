"""The command lr-find."""

import json

import pytest

from tests.helpers.specs import CSV, classifier, csv_data


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    spec = classifier(data=csv_data(), optimizer={"type": "adam"})
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    return tmp_path


def test_it_prints_a_table_and_a_command_with_the_suggested_rate(directory, nnreg):
    before = sorted(directory.iterdir())
    code, out, err = nnreg("lr-find", "spec.json", "--steps", "40", "--set", "seed=1")
    assert (code, err) == (0, "")
    assert "learning rate" in out
    found = json.loads(
        nnreg("lr-find", "spec.json", "--steps", "40", "--set", "seed=1", "--json")[1]
    )
    given = f"{found['suggested']:.2g}"
    assert f"suggested: {given}, where the loss falls most steeply" in out
    expected = f"nnreg run spec.json --set seed=1 --set optimizer.learning_rate={given}"
    assert out.rstrip().endswith(expected)
    assert len(found["learning_rates"]) == len(found["losses"]) <= 40
    assert sorted(directory.iterdir()) == before


def test_a_plot_is_drawn_into_a_file(directory, nnreg):
    pytest.importorskip("matplotlib")
    code, _, _ = nnreg("lr-find", "spec.json", "--steps", "20", "--plot", "rates.svg")
    assert code == 0
    assert "learning rate" in (directory / "rates.svg").read_text()
    code, _, err = nnreg("lr-find", "spec.json", "--steps", "20", "--plot", "rates.gif")
    assert code == 2
    assert "unknown plot format" in err


def test_rates_that_never_help_have_no_suggestion(directory, nnreg):
    options = ("--from", "1e-20", "--to", "1e-19", "--steps", "10", "--set", "train.shuffle=false")
    code, out, _ = nnreg("lr-find", "spec.json", *options, "--set", "train.batch_size=1000")
    assert code == 0
    assert "the loss does not fall; try other rates with --from and --to" in out
    assert "next:" not in out


def test_wrong_rates_are_refused(directory, nnreg):
    code, _, err = nnreg("lr-find", "spec.json", "--from", "1", "--to", "0.1")
    assert code == 2
    assert "found the rates 1 to 0.1; expected 0 < first < last" in err
