"""The command line: what is printed where, and the exit codes."""

import csv
import gc
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nnreg import _openblas
from nnreg.cli import NEW_OBJECTS, main
from nnreg.cli.app import cli
from tests.helpers.paths import ROOT
from tests.helpers.specs import CSV, classifier, csv_data, regressor

ROWS = "island,length,depth\nnorth,1.0,5.2\nsouth,4.2,2.4\n"


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "spec.json").write_text(json.dumps(classifier(data=csv_data())))
    return "spec.json"


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_run_prints_progress_to_stderr_and_the_result_to_stdout(spec, nnreg, tmp_path):
    code, out, err = nnreg("run", spec, "--out", "out")
    assert code == 0
    assert err.splitlines()[0].startswith("epoch 1/5  loss ")
    assert "\r" not in err
    assert "epoch 1/5" not in out
    assert "baseline (majority class blue)" in out
    assert "next: nnreg predict out data.csv" in out
    assert (tmp_path / "out" / "checkpoints" / "best.h5").exists()


def test_run_chooses_a_new_directory_each_time(spec, nnreg, tmp_path):
    for _ in range(2):
        assert nnreg("run", spec)[0] == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["spec-001", "spec-002"]


def test_progress_is_printed_every_n_epochs(spec, nnreg):
    set_epochs = ("--set", "train.epochs=250")
    lines = nnreg("run", spec, *set_epochs, "--every", 100)[2].splitlines()
    assert [line.split()[1] for line in lines] == ["1/250", "100/250", "200/250", "250/250"]
    assert nnreg("run", spec, *set_epochs, "--quiet")[2] == ""
    assert len(nnreg("run", spec, *set_epochs)[2].splitlines()) == 250


def test_json_is_printed_for_programs(spec, nnreg):
    code, out, err = nnreg("run", spec, "--json", "--out", "out")
    assert (code, err) == (0, "")
    *epochs, end = map(json.loads, out.splitlines())
    assert [(line["event"], line["epoch"]) for line in epochs] == [
        ("epoch", n + 1) for n in range(5)
    ]
    assert (end["event"], end["epochs"], end["directory"]) == ("end", 5, "out")
    for data, split in ((["data.csv"], "data"), ([], "train")):
        metrics = json.loads(nnreg("evaluate", "out", *data, "--json")[1])
        assert metrics.keys() == {split}
        assert metrics[split].keys() == {"loss", "accuracy"}
    assert json.loads(nnreg("inspect", "out", "--json")[1])["history"][-1]["epoch"] == 5
    assert json.loads(nnreg("plugins", "--json")[1])[0]["plugin"] == "nnreg"
    assert json.loads(nnreg("show", "huber", "--json")[1])[0]["options"][0]["name"] == "delta"
    assert json.loads(nnreg("validate", spec, "--json")[1]) == {"valid": True, "problems": []}


def test_predict_writes_class_names_and_probabilities(spec, nnreg):
    nnreg("run", spec, "--out", "out", "--set", "train.epochs=150")
    code, out, err = nnreg("predict", "out", "rows.csv")
    assert (code, err) == (0, "")
    rows = table(out)
    assert list(rows[0]) == ["prediction", "probability_blue", "probability_red"]
    assert [row["prediction"] for row in rows] == ["red", "blue"]
    for row in rows:
        total = float(row["probability_blue"]) + float(row["probability_red"])
        assert total == pytest.approx(1, abs=1e-6)


def test_predict_reads_standard_input_and_writes_a_file(spec, nnreg, tmp_path):
    nnreg("run", spec, "--out", "out")
    from_file = nnreg("predict", "out/checkpoints/last.h5", "rows.csv")[1]
    assert nnreg("predict", "out/checkpoints/last.h5", "-", stdin=ROWS)[1] == from_file
    assert nnreg("predict", "out", "rows.csv", "--out", "predictions.csv")[1] == ""
    assert (tmp_path / "predictions.csv").read_text() == from_file
    predictions = json.loads(nnreg("predict", "out", "rows.csv", "--json")[1])
    assert [prediction["prediction"] for prediction in predictions] == [
        row["prediction"] for row in table(from_file)
    ]


def test_predict_writes_numbers_for_a_regression(spec, nnreg):
    data = csv_data(target="length", inputs=["island"])
    nnreg("run", "-", "--out", "out", stdin=json.dumps(regressor(data=data)))
    rows = table(nnreg("predict", "out", "rows.csv")[1])
    assert [list(row) for row in rows] == [["prediction"]] * 2
    assert all(float(row["prediction"]) > 0 for row in rows)


def test_two_outputs_give_two_columns(spec, nnreg):
    data = csv_data(target=["length", "depth"], inputs=["species"])
    tree = regressor(data=data, model={"layers": [{"type": "dense", "units": 2}]})
    clean = CSV.replace("3.9,\n", "3.9,3\n")
    with open("data.csv", "w") as file:
        file.write(clean)
    nnreg("run", "-", "--out", "out", stdin=json.dumps(tree))
    rows = table(nnreg("predict", "out", "data.csv")[1])
    assert list(rows[0]) == ["prediction_length", "prediction_depth"]


def test_resume_continues_where_the_run_stopped(spec, nnreg, tmp_path):
    nnreg("run", spec, "--out", "out")
    code, out, err = nnreg("resume", "out", "--set", "train.epochs=7")
    assert code == 0
    assert err.splitlines()[0].startswith("epoch 6/7")
    assert "best epoch 7 of 7" in out


def test_the_end_says_how_batches_are_divided_and_what_depends_on_threads(spec, nnreg, monkeypatch):
    assert "threads" not in nnreg("run", spec, "--out", "small")[1]
    out = nnreg("run", spec, "--out", "divided", "--set", "train.shards=2")[1]
    assert "\nbit-identical on any number of threads; each batch in 2 shards\n" in out
    monkeypatch.setattr("nnreg.training.parallelism.MIN_FLOPS_FOR_THREADS", 0)
    out = nnreg("run", spec, "--out", "large")[1]
    assert "\nthe last bits depend on the number of threads\n" in out
    two = ["--set", "train.threads=2"]  # then the spec says how many
    assert "threads" not in nnreg("run", spec, "--out", "two", *two)[1]
    for name, words in (("two", "threads, here 2"), ("divided", "threads; each batch in 2 shards")):
        assert words in Path(name, "report.html").read_text()
    out = nnreg("run", spec, "--out", "same", "--set", "train.reproducible=true")[1]
    assert "threads" not in out


def test_resume_refuses_a_change_of_the_network(spec, nnreg):
    nnreg("run", spec, "--out", "out")
    code, _, err = nnreg("resume", "out", "--set", "model.layers.0.units=9")
    assert code == 2
    assert "--set model.layers.0.units=9: 'units' cannot change on resuming" in err


def test_inspect_shows_arrays_components_and_the_last_metrics(spec, nnreg):
    nnreg("run", spec, "--out", "out")
    code, out, _ = nnreg("inspect", "out")
    assert code == 0
    for text in ("after epoch 5", "parameters/layers/0/weight", "4 x 8", "cross_entropy", "loss "):
        assert text in out


def test_validate_shows_the_network(spec, nnreg):
    code, out, err = nnreg("validate", spec, "--set", "model.layers.0.units=64")
    assert (code, err) == (0, "")
    assert "spec.json: valid" in out
    assert "(batch, 64)" in out
    assert "8 training rows" in out


def test_validate_prints_every_problem(spec, nnreg):
    changes = ("--set", "loss=nonsense", "--set", "train.epoch=5")
    code, out, err = nnreg("validate", spec, *changes)
    assert (code, out) == (2, "")
    assert err.startswith("error: spec.json: 2 problems\n  --set loss=nonsense: no loss 'n")
    code, out, err = nnreg("validate", spec, *changes, "--json")
    assert (code, err) == (2, "")
    assert [problem["path"] for problem in json.loads(out)["problems"]] == [
        "$.loss", "$.train.epoch"
    ]  # fmt: skip


def test_schema_prints_the_schema_of_the_installed_components(nnreg):
    code, out, _ = nnreg("schema")
    assert code == 0
    assert "leaky_relu" in json.dumps(json.loads(out)["$defs"]["activation"])


def test_show_prints_formula_options_and_provider(nnreg):
    code, out, _ = nnreg("show", "leaky_relu")
    assert code == 0
    for text in ("slope · x", "number ≥ 0 and ≤ 1", "0.01", "from nnreg "):
        assert text in out


def test_plugins_lists_the_components_provided(nnreg):
    out = nnreg("plugins")[1]
    assert "loaded" in out
    assert "leaky_relu" in out


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["run", "nowhere.json"], 2, "nowhere.json: cannot read the spec"),
        (["run"], 2, "missing argument 'SPEC'"),
        (["run", "spec.json", "--set", "loss=x"], 2, "--set loss=x: no loss 'x'"),
        (["run", "spec.json", "--set", "loss"], 2, "expected PATH=VALUE"),
        (["run", "spec.json", "--set", "data.target=x"], 1, "no column 'x'"),
        (["run", "spec.json", "--set", "data.path=x.csv"], 1, "x.csv: cannot read the data"),
        (["predict", "nowhere.h5", "rows.csv"], 1, "nowhere.h5: cannot read"),
        (["predict", "data.csv", "rows.csv"], 1, "not a checkpoint of nnreg"),
        (["inspect", "data.csv"], 1, "not a checkpoint of nnreg"),
        (["show", "leaky_relo"], 2, "did you mean 'leaky_relu'"),
        (["runn"], 2, "no command 'runn'; did you mean 'nnreg run'?"),
        (["run", "spec.json", "--evry", "3"], 2, "no option '--evry'; did you mean '--every'?"),
    ],
)
def test_an_error_is_one_message_with_an_exit_code(spec, nnreg, tmp_path, args, code, message):
    before = sorted(tmp_path.rglob("*"))
    found, out, err = nnreg(*args)
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("args", "suggestion"),
    [
        (["run", "spce.json"], "spec.json"),
        (["run", "spec.json", "--set", "data.path=dat.csv"], "data.csv"),
        (["predict", "runs/spec-01", "rows.csv"], "runs/spec-001"),
        (["predict", "runs/spec-001", "row.csv"], "rows.csv"),
        (["resume", "runs/spc-001"], "runs/spec-001"),
        (["inspect", "runs/spec-001/checkpoints/bets.h5"], "runs/spec-001/checkpoints/best.h5"),
    ],
)
def test_a_mistyped_file_gets_a_suggestion(spec, nnreg, args, suggestion):
    nnreg("run", spec, "--no-report")
    code, out, err = nnreg(*args)
    assert (code in (1, 2), out) == (True, "")
    assert re.search(
        rf"No such file or directory; did you mean '(/.*/)?{suggestion}'\?$", err.strip()
    )
    assert "did you mean" not in nnreg("inspect", "nothing/like/it")[2]


def test_a_directory_of_runs_is_not_taken_for_a_run(spec, nnreg, tmp_path):
    nnreg("run", spec, "--no-report")
    for command in (["predict", "runs", "rows.csv"], ["resume", "runs"], ["inspect", "runs"]):
        code, _, err = nnreg(*command)
        assert code == 1
        assert err.startswith("error: runs: a directory of runs; choose one, such as runs/spec-001")
    (tmp_path / "empty").mkdir()
    assert "empty: not a run directory" in nnreg("evaluate", "empty")[2]


def test_a_traceback_is_printed_only_with_debug(spec, nnreg):
    for args in (["--debug", "run", "nowhere.json"], ["run", "nowhere.json", "--debug"]):
        code, _, err = nnreg(*args)
        assert code == 2
        assert "Traceback" in err


def test_a_bug_is_reported_as_one(spec, nnreg, monkeypatch, tmp_path):
    monkeypatch.setattr("nnreg.runs.api.prepare_run", lambda *_, **__: 1 / 0)
    code, _, err = nnreg("run", spec)
    assert code == 1
    assert "ZeroDivisionError" in err
    assert "--debug shows where" in err
    assert "Traceback" not in err
    assert "plugin check" not in err
    (tmp_path / "a b.py").write_text("")
    assert (
        "(nnreg plugin check 'a b.py' may find it)" in nnreg("run", spec, "--plugin", "a b.py")[2]
    )


def test_a_run_that_diverges_exits_with_3_and_saves_the_last_finite_weights(spec, nnreg, tmp_path):
    data = csv_data(target="length", inputs=["island"])
    tree = regressor(data=data, optimizer={"type": "sgd", "learning_rate": 1e30})
    code, out, err = nnreg("run", "-", "--out", "out", "--set", "train.epochs=90",
                           stdin=json.dumps(tree))  # fmt: skip
    assert (code, out) == (3, "")
    assert "the loss is not finite; first non-finite value in " in err
    assert "out/checkpoints/last.h5" in err
    assert nnreg("inspect", "out/checkpoints/last.h5")[0] == 0
    (tmp_path / "out/checkpoints/best.h5").unlink(missing_ok=True)
    err = nnreg("predict", "out", "data.csv")[2]
    assert err.startswith("error: out: no checkpoints/best.h5 yet, which is written after an epoch")
    assert err.endswith("nnreg resume out\n")


def test_a_missing_plugin_exits_with_4_and_the_install_command(spec, nnreg, tmp_path):
    from dataclasses import replace
    from pathlib import Path

    from nnreg.checkpoint.file_format import read_checkpoint, write_checkpoint

    nnreg("run", spec, "--out", "out")
    file = Path("out/checkpoints/best.h5")
    checkpoint = read_checkpoint(file)
    swish = {"kind": "activation", "name": "swish", "plugin": "swish",
             "distribution": "nnreg-swish", "version": "1.0"}  # fmt: skip
    document = {**checkpoint.document, "components": [swish]}
    write_checkpoint(file, replace(checkpoint, document=document))
    code, out, err = nnreg("predict", "out", "rows.csv")
    assert (code, out) == (4, "")
    assert "pip install nnreg-swish==1.0" in err
    assert nnreg("inspect", "out")[0] == 0


def test_invalid_rows_give_an_error_and_no_prediction(spec, nnreg, tmp_path):
    nnreg("run", spec, "--out", "out")
    for text, message in (
        ("island,length\nnorth,1\n", "no column 'depth'"),
        ("island,length,depth\nnorth,one,2\n", "line 2, column 'length': found 'one'"),
        ("island,length,depth\nwest,1,2\n", "unknown category 'west'"),
        ("", "the file is empty"),
        ("a,b\n1\n", "line 2: 1 cell, but the header has 2"),
    ):
        code, out, err = nnreg("predict", "out", "-", stdin=text)
        assert (code, out) == (1, "")
        assert message in err


def test_every_command_has_help_with_an_example(nnreg):
    for name, command in cli.commands.items():
        code, out, _ = nnreg(name, "--help")
        assert code == 0
        assert "Usage: nnreg" in out
        assert f"nnreg {name}" in out.split("Options:")[0]
        assert command.help


INTERRUPTED = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from nnreg.cli import main
main(["schema"])
"""


@pytest.mark.parametrize("module", ["numpy", "click", "nnreg.cli.app", "nnreg.cli.components"])
def test_ctrl_c_while_modules_are_imported_is_no_traceback(tmp_path, module):
    command = [sys.executable, "-c", INTERRUPTED, module]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    within_a_command = module in ("numpy", "nnreg.cli.components")
    assert (done.returncode, done.stderr) == (130, "\nstopped\n" if within_a_command else "")


def test_help_takes_little_work():
    code = """
from tests.helpers.work import calls
def main():
    import nnreg.cli
    try: nnreg.cli.main(["--help"])
    except SystemExit: pass
print("calls:", calls(main))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert int(done.stdout.rpartition("calls: ")[2]) < 500_000


def test_only_a_process_of_its_own_collects_garbage_rarely(nnreg, monkeypatch):
    before = gc.get_threshold(), gc.get_freeze_count()
    nnreg("--version")
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
    calls = []
    monkeypatch.setattr(gc, "set_threshold", calls.append)
    monkeypatch.setattr(gc, "freeze", lambda: calls.append("at the end"))
    monkeypatch.setattr(sys, "argv", ["nnreg", "--version"])
    monkeypatch.setenv(_openblas.VARIABLE, "")  # the command sets it for its process
    with pytest.raises(SystemExit):
        main()
    assert calls == [NEW_OBJECTS, "at the end"]
