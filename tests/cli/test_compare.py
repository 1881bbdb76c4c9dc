"""`nnreg compare` with groups of runs, in all formats, and `nnreg plot` of many runs."""

import csv
import io
import json
import re

import pytest

from tests.comparison.run_files import write_groups, write_run

RELU, TANH = (0.90, 0.92, 0.91, 0.94, 0.93), (0.80, 0.81, 0.82, 0.83, 0.80)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return write_groups(tmp_path / "runs", {"relu": RELU, "tanh": TANH})


def cells(out):
    return [re.split(r"\s\s+", line.strip()) for line in out.splitlines() if line.strip()]


def test_groups_have_a_row_each_with_the_difference_to_the_best(runs, nnreg):
    code, out, err = nnreg("compare", "runs")
    assert (code, err) == (0, "")
    title, head, _, relu, tanh, *notes = cells(out)
    assert title == ["test r2, higher is better, 5 runs each; differences are to activation relu"]
    assert head[:4] == ["activation", "runs", "mean ± std", "95 % interval"]
    assert relu == ["relu", "5", "0.920 ± 0.016", "0.908 to 0.932"]
    assert tanh[:3] == ["tanh", "5", "0.812 ± 0.013"]
    assert tanh[4] == "-0.108"
    assert notes[0] == ["* activation relu differs by more than noise from: activation tanh"]


def test_a_metric_a_split_and_a_reference_may_be_chosen(runs, nnreg):
    out = nnreg("compare", "runs", "--metric", "loss", "--metric", "r2", "--split", "validation",
                "--reference", "run-8")[1]  # fmt: skip
    assert (
        "validation loss, lower is better, 5 runs each; differences are to activation tanh" in out
    )
    assert "validation r2, higher is better, 5 runs each; differences are to activation tanh" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--metric", "r3"], "no metric 'r3' in these runs; choose one of loss, r2"),
        (["--reference", "run-77"], "run-77: not the name of a group or of a run in one"),
        (["--format", "latex", "--out", "no/such.tex"], "no/such.tex: cannot write"),
    ],
)
def test_a_choice_that_does_not_exist_is_an_error(runs, nnreg, args, message):
    code, out, err = nnreg("compare", "runs", *args)
    assert (code, out) == (2, "")
    assert message in err


def test_each_run_may_be_shown(runs, nnreg):
    out = nnreg("compare", "runs", "--runs")[1]
    assert [row[0] for row in cells(out)[2:]] == [f"run-{i}" for i in range(1, 11)]


def test_runs_of_one_spec_are_shown_each_and_by_their_mean(runs, nnreg):
    out = nnreg("compare", *(runs / f"run-{i}" for i in (1, 2, 3)))[1]
    assert [row[0] for row in cells(out)][:3:2] == ["run", "seed"]
    assert cells(out)[-1] == ["all runs", "3", "0.910 ± 0.010", "0.900 to 0.920"]


@pytest.mark.parametrize(
    ("form", "start"),
    [("markdown", "**test r2"), ("latex", "% test r2"), ("csv", "metric,"), ("html", "<!DOCTYPE")],
)
def test_a_format_is_printed_or_written_to_a_file(runs, nnreg, form, start, tmp_path):
    code, out, err = nnreg("compare", "runs", "--format", form)
    assert (code, err) == (0, "")
    assert out.startswith(start)
    assert nnreg("compare", "runs", "--format", form, "--out", "table") == (0, "table\n", "")
    assert (tmp_path / "table").read_text() == out


def test_the_suffix_of_a_file_says_its_format(runs, nnreg, tmp_path):
    assert nnreg("compare", "runs", "--out", "table.tex") == (0, "table.tex\n", "")
    assert "\\toprule" in (tmp_path / "table.tex").read_text()
    code, _, err = nnreg("compare", "runs", "--out", "table.docx")
    assert code == 2
    assert "table.docx: no format for a file; use one of .md, .tex, .csv, .html, or --format" in err


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "csv", "html"])
def test_a_failed_run_is_listed_in_every_format(runs, nnreg, form):
    write_run(runs / "run-99", {}, seed=7, stopped="diverged", epochs=1, planned=9)
    _, out, err = nnreg("compare", "runs", "--format", form)
    assert "run-99: diverged after epoch 1 of 9" in (err if form == "csv" else out)
    if form == "csv":
        assert len(list(csv.reader(io.StringIO(out)))) == 3


def test_json_has_the_groups_and_their_differences(runs, nnreg):
    found = json.loads(nnreg("compare", "runs", "--json")[1])
    relu, tanh = found["groups"]
    assert relu["metrics"]["test r2"]["values"] == list(RELU)
    assert tanh["differences"]["test r2"]["mean"] == pytest.approx(-0.108)
    assert found["references"]["test r2"] == relu["name"]
    assert len(found["sides"]) == 10


def test_many_runs_are_plotted_as_groups(runs, nnreg):
    write_run(runs / "run-11", {"loss": 1.0, "r2": 0.9}, seed=9, split_seed=0)
    assert nnreg("plot", "runs") == (0, "curves.svg\n", "")
    code, out, _ = nnreg("plot", "runs", "--text")
    assert code == 0
    assert "━━ activation relu (6 runs)" in out
    assert out.count("epoch") == 1
    assert nnreg("plot", "runs", "--text", "--by", "run")[1].count(": loss") == 11


def test_a_single_run_in_a_directory_of_runs_is_plotted_in_its_own(tmp_path, nnreg, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs" / "only", {"r2": 1.0})
    assert nnreg("plot", "runs") == (0, "runs/only/plots/curves.svg\n", "")


def test_a_narrow_terminal_drops_the_columns_that_say_least(runs, nnreg, monkeypatch):
    monkeypatch.setenv("COLUMNS", "75")
    title, head, *_ = cells(nnreg("compare", "runs")[1])
    assert title[0].startswith("test r2, higher is better, 5 runs each")
    assert head == ["activation", "mean ± std", "difference", "its 95 % interval", "p"]
    monkeypatch.setenv("COLUMNS", "82")
    assert cells(nnreg("compare", "runs")[1])[1][:3] == ["activation", "runs", "mean ± std"]
