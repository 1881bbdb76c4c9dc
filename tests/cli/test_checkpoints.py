"""inspect, diff and rerun, and reading checkpoints without a model."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg import CheckpointError, DataError
from nnreg._utils.formatting import number
from nnreg.checkpoint.diff import compare
from nnreg.checkpoint.file_format import Checkpoint, read_checkpoint, write_checkpoint
from nnreg.checkpoint.inspect import read_summary
from nnreg.runs.prepare import prepare_from_spec
from nnreg.runs.rerun import rerun
from nnreg.spec.document import read_spec
from tests.helpers.copies import enter_copy, new_directory
from tests.helpers.paths import ROOT
from tests.helpers.specs import CSV, blobs, classifier, csv_data
from tests.security.attacks import ATTACKS

SPLIT = {"validation": 0.25, "stratify": True}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Train two runs with different settings, and return their directory."""
    with new_directory(tmp_path_factory) as directory:
        (directory / "data.csv").write_text(CSV)
        spec = classifier(data=csv_data(split=SPLIT, unseen="ignore"))
        (directory / "spec.json").write_text(json.dumps(spec))
        nnreg.run("spec.json", out="one")
        changes = ["optimizer.learning_rate=0.5", "train.epochs=3"]
        nnreg.run("spec.json", out="two", overrides=changes)
    return directory


@pytest.fixture
def run(original, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    enter_copy(original, monkeypatch)
    return original


@pytest.fixture
def command(run, request):
    """Run a command in that directory; return its exit code, output and errors."""
    return request.getfixturevalue("nnreg")


def edit(path, change):
    """Rewrite a checkpoint with its document and arrays changed."""
    saved = read_checkpoint(path)
    document, arrays = dict(saved.document), dict(saved.arrays)
    change(document, arrays)
    write_checkpoint(path, Checkpoint(document, arrays))


class TestReading:
    def test_the_five_lines_in_the_documentation_read_a_checkpoint(self, run, monkeypatch):
        text = (ROOT / "docs" / "file-format.md").read_text()
        (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
        shutil.copy(run / "one/checkpoints/best.h5", "model.h5")
        found = {}
        exec(code, found)
        model = nnreg.load("model.h5")
        assert found["document"]["spec"] == model.document.tree
        np.testing.assert_array_equal(found["weight"], model.parameters["layers/0/weight"])
        assert len([line for line in code.splitlines() if line.strip()]) <= 5

    def test_arrays_are_read_without_the_plugins(self, run):
        file = run / "one/checkpoints/last.h5"

        def remove_plugin(document, arrays):
            document["components"][0].update(name="gone", distribution="nnreg-gone")
            document["spec"]["model"]["layers"][0]["type"] = "gone"

        before = nnreg.read_arrays(file)
        edit(file, remove_plugin)
        after = nnreg.read_arrays(file)
        assert before.keys() == after.keys() >= {"parameters/layers/0/weight", "history"}
        np.testing.assert_array_equal(before["history"], after["history"])

    def test_a_run_a_checkpoint_and_a_metrics_file_have_the_same_history(self, run):
        histories = [
            nnreg.read_history(path)
            for path in ("one", "one/metrics.jsonl", "one/checkpoints/last.h5")
        ]
        assert len(histories[0]) == 5
        assert list(histories[0]) == list(histories[1]) == list(histories[2])
        assert histories[0]["loss"].shape == (5,)

    def test_the_history_of_a_running_run_excludes_an_incomplete_line(self, run):
        file = run / "one" / "metrics.jsonl"
        text = file.read_text()
        for length in range(len(text)):
            file.write_text(text[:length])
            assert len(nnreg.read_history("one")) == text[:length].count("\n")

    @pytest.mark.parametrize("line", ["x", "[1]", '{"loss": "a"}', '{"loss": true}', "[" * 10_000])
    def test_an_invalid_history_is_refused_with_its_line(self, run, line):
        (run / "one" / "metrics.jsonl").write_text(f'{{"epoch": 1}}\n{line}\n')
        with pytest.raises(CheckpointError, match=r"metrics.jsonl, line 2: not a record"):
            nnreg.read_history("one")
        with pytest.raises(CheckpointError, match="cannot read"):
            nnreg.read_history("nowhere")


class TestComparing:
    def test_a_checkpoint_does_not_differ_from_itself(self, run):
        assert compare("one", "one/checkpoints/best.h5").same

    def test_differences_are_reported_by_path_and_size(self, run):
        found = compare("one", "two")
        assert not found.same
        assert {"path": "$.optimizer.learning_rate", "a": 0.02, "b": 0.5} in found.said["spec"]
        assert found.said["components"] == found.said["environment"] == []
        one, other = nnreg.read_arrays("one"), nnreg.read_arrays("two")
        (weight,) = [d for d in found.arrays if d["name"] == "parameters/layers/0/weight"]
        difference = np.abs(one[weight["name"]] - other[weight["name"]])
        assert weight["largest"] == pytest.approx(difference.max())
        assert 0 < weight["relative"] < 2
        assert {d["name"]: d["epoch"] for d in found.history}["epoch"] == 4

    def test_one_changed_bit_of_an_array_differs(self, run):
        def flip(document, arrays):
            weight = arrays["parameters/layers/0/weight"].copy()
            weight.view(np.int32).flat[0] ^= 1
            arrays["parameters/layers/0/weight"] = weight

        shutil.copy("one/checkpoints/best.h5", "changed.h5")
        edit(Path("changed.h5"), flip)
        found = compare("one", "changed.h5")
        assert [d["name"] for d in found.arrays] == ["parameters/layers/0/weight"]
        assert not any(found.said.values())
        assert found.history == []

    def test_missing_arrays_and_different_shapes_are_reported(self, run):
        nnreg.run("spec.json", out="three", overrides=["model.layers.0.units=4"])
        found = {d["name"]: d for d in compare("one", "three").arrays}
        assert found["parameters/layers/0/bias"]["a"] == "float32 (8,)"
        assert found["parameters/layers/0/bias"]["b"] == "float32 (4,)"
        only = {d["name"]: d for d in compare("one", "one/checkpoints/last.h5").arrays}
        assert "a" not in only["optimizer/m"]

    def test_another_version_of_a_component_differs(self, run):
        shutil.copy("one/checkpoints/best.h5", "changed.h5")
        edit(Path("changed.h5"), lambda d, a: d["components"][0].update(version="9"))
        (change,) = compare("one", "changed.h5").said["components"]
        assert change["path"].endswith(".version")
        assert change["b"] == "9"


class TestRerun:
    @pytest.mark.parametrize("file", ["best", "last"])
    def test_rerun_is_bit_identical_and_writes_nothing(self, run, file):
        path = run / f"one/checkpoints/{file}.h5"
        before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
        assert rerun(path).same
        assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before

    def test_a_mid_epoch_checkpoint_is_trained_again_to_the_same_step(self, run):
        prepared = prepare_from_spec(read_spec("spec.json", ["train.batch_size=2"]))
        model = prepared.model
        trainer = model.trainer(prepared.train, prepared.validation)
        for record in trainer.iterate(lambda: model.training_state.step == 5):
            if record is None:
                break
        nnreg.save(model, "middle.h5")
        assert read_summary("middle.h5").manifest.progress.partial
        assert rerun("middle.h5").results_same

    def test_a_history_that_the_spec_does_not_reproduce_is_detected(self, run):
        path = run / "one/checkpoints/last.h5"

        def change_history(document, arrays):
            arrays["history"] = arrays["history"].copy()
            arrays["history"][3, 1] *= 0.5

        edit(path, change_history)
        (difference,) = rerun(path).history
        assert (difference["name"], difference["epoch"]) == ("loss", 4)

    def test_different_data_are_refused(self, run):
        (run / "data.csv").write_text(CSV.replace("4.4", "4.5"))
        with pytest.raises(DataError, match="not the data that it was trained on"):
            rerun(run / "one")

    def test_a_model_trained_on_arrays_in_memory_cannot_be_rerun(self, tmp_path):
        data = blobs()
        model = nnreg.build(classifier(), data=data)
        model.fit(*data)
        nnreg.save(model, tmp_path / "m.h5")
        with pytest.raises(nnreg.SpecError, match=r"\$.data"):
            rerun(tmp_path / "m.h5")


class TestCommands:
    def test_inspect_shows_a_checkpoint_on_a_terminal_of_80_columns(self, command):
        code, out, _ = command("inspect", "one")
        assert code == 0
        assert "one/checkpoints/best.h5: intact" in out
        assert '"optimizer": {"type": "adam", "learning_rate": 0.02}' in out
        assert "\nresults: bit-identical on any number of threads\n" in out
        assert re.search(r"nnreg 0\.1\.0 +0\.1\.0", out)
        assert "range 0.8 to 4.4" in " ".join(out.split())
        assert re.search(r"parameters/layers/0/weight +float32 +4 x 8 +[\d.]+ +[\d.]+", out)
        assert max(len(line) for line in out.splitlines() if not line.startswith("data ")) <= 80

    def test_inspect_prints_the_metrics_of_each_split_as_json_has_them(self, command):
        results = json.loads(command("inspect", "one", "--json")[1])["results"]
        results["validation"]["loss"] = "Infinity"
        edit(Path("one/checkpoints/best.h5"), lambda d, a: d.update(results=results))
        lines = [line.split() for line in command("inspect", "one")[1].splitlines()]
        start = lines.index(["metrics", *results["train"]])
        rows = {line[0]: line[1:] for line in lines[start + 2 :][: len(results)]}
        assert rows["train"] == [number(value) for value in results["train"].values()]
        assert rows["validation"][0] == "inf"
        assert rows["baseline"] == [number(value) for value in results["baseline"].values()]
        assert "\n  metrics " not in command("inspect", "one/checkpoints/last.h5")[1]

    def test_inspect_reports_non_finite_values_and_missing_plugins(self, command):
        def add_nan(document, arrays):
            arrays["parameters/layers/0/bias"] = np.full(8, np.nan, np.float32)
            document["components"][0]["distribution"] = "nnreg-gone"

        edit(Path("one/checkpoints/best.h5"), add_nan)
        code, out, _ = command("inspect", "one")
        assert code == 0
        assert "warning: 8 values of parameters/layers/0/bias are not finite" in out
        assert "not installed" in out

    def test_inspect_escapes_control_characters(self, command):
        edit(Path("one/checkpoints/best.h5"), lambda d, a: d.update(origin="\x1b[2Jx"))
        code, out, _ = command("inspect", "one")
        assert code == 0
        assert "\x1b" not in out
        assert r"\u001b[2Jx" in out

    def test_verify_prints_each_check(self, command):
        code, out, _ = command("inspect", "--verify", "one")
        assert code == 0
        assert len(out.splitlines()) == 10
        assert all(line.startswith("ok      ") for line in out.splitlines())
        assert max(map(len, out.splitlines())) <= 80

    @pytest.mark.parametrize(
        ("attack", "passed"), [("a_pickle", 0), ("unsigned", 2), ("a_soft_link", 3),
                               ("not_a_number", 4), ("an_extra_key", 5), ("a_bomb_by_spec", 7)],
    )  # fmt: skip
    def test_verify_stops_at_the_check_that_fails(self, command, attack, passed):
        ATTACKS[attack].make(Path("h.h5"))
        code, out, _ = command("inspect", "--verify", "h.h5", "--json")
        found = json.loads(out)
        assert code == 1
        assert not found["verified"]
        assert len(found["checks"]) == passed
        assert re.search(ATTACKS[attack].message, found["error"])
        code, out, _ = command("inspect", "--verify", "h.h5")
        assert code == 1
        assert out.splitlines()[passed].startswith("failed  h.h5: ")

    def test_verify_distinguishes_a_missing_plugin_from_an_invalid_file(self, command):
        ATTACKS["a_plugin_that_is_not_installed"].make(Path("h.h5"))
        code, out, _ = command("inspect", "--verify", "h.h5")
        assert code == 4
        assert "run: pip install nnreg-gone==1.0" in out

    def test_diff_exits_as_diff_does(self, command):
        code, out, _ = command("diff", "one", "one")
        assert (code, out) == (0, "no differences\n")
        code, out, _ = command("diff", "one", "two")
        assert code == 1
        assert "  $.optimizer.learning_rate\n    - 0.02\n    + 0.5\n" in out
        assert "parameters/layers/0/weight" in out
        assert max(map(len, out.splitlines())) <= 80
        code, out, _ = command("diff", "one", "two", "--json")
        assert code == 1
        assert json.loads(out)["same"] is False
        assert command("diff", "one", "nowhere")[0] == 1

    def test_rerun_reports_whether_the_result_is_bit_identical(self, command):
        code, out, err = command("rerun", "one")
        assert (code, out) == (0, "bit-identical: weights and history\n")
        assert err.startswith("epoch 1  loss")

        def change(document, arrays):
            document["environment"]["numpy"] = "1.0"
            arrays["parameters/layers/0/bias"] = arrays["parameters/layers/0/bias"] + 1

        edit(Path("one/checkpoints/best.h5"), change)
        code, out, _ = command("rerun", "one")
        assert code == 1
        assert re.search(r"parameters/layers/0/bias +1 ", out)
        assert '$.numpy\n    - "1.0"\n' in out
        assert json.loads(command("rerun", "one", "--json")[1])["same"] is False
