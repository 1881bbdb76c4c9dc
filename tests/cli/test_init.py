"""`nnreg init`."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from nnreg.spec import jsonc
from nnreg.spec.document import read_spec
from tests.components.sources.test_images import png
from tests.helpers.paths import MODELS


class TestCommand:
    @pytest.fixture(autouse=True)
    def directory(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "iris.csv").write_bytes((MODELS / "iris.csv").read_bytes())
        return tmp_path

    def test_it_writes_a_spec_and_prints_the_next_command(self, nnreg):
        code, out, err = nnreg("init", "iris.csv")
        assert (code, err) == (0, "")
        assert "iris.csv: 150 rows, 5 columns" in out
        assert "predicts 'species', one of 3 classes (its name is typical of a target)" in out
        *_, wrote, following = out.splitlines()
        assert wrote == "wrote iris.json"
        assert following.startswith("next: nnreg ")
        changes = ("--set", "train.epochs=2", "--out", "run")
        assert nnreg(*following.removeprefix("next: nnreg ").split(), *changes)[0] == 0

    def test_an_existing_file_is_replaced_only_with_force(self, directory, nnreg):
        (directory / "iris.json").write_text("mine")
        code, _, err = nnreg("init", "iris.csv")
        assert code == 2
        assert "iris.json: already exists; choose another --out, or replace it with --force" in err
        assert (directory / "iris.json").read_text() == "mine"
        assert nnreg("init", "iris.csv", "--force")[0] == 0
        assert read_spec("iris.json")

    @pytest.mark.skipif(os.name != "posix", reason="links and devices of POSIX")
    def test_a_link_stays_and_a_device_is_written_to(self, directory, nnreg):
        (directory / "specs").mkdir()
        (directory / "link.json").symlink_to("specs/real.json")
        assert nnreg("init", "iris.csv", "--out", "link.json")[0] == 0
        assert (directory / "link.json").is_symlink()
        assert read_spec("link.json")
        assert nnreg("init", "iris.csv", "--out", "link.json")[0] == 2
        (directory / "null").symlink_to("/dev/null")
        assert nnreg("init", "iris.csv", "--out", "null")[0] == 0
        assert (directory / "null").is_char_device()

    def test_a_directory_gives_the_spec_its_name(self, directory, nnreg, monkeypatch):
        (directory / "cats" / "tabby").mkdir(parents=True)
        for name in ("a.png", "c.png"):
            (directory / "cats" / "tabby" / name).write_bytes(png(np.zeros((4, 4), int), (4, 4)))
        assert "no column looks like a target" in nnreg("init", "cats/")[2]  # with one class
        (directory / "cats" / "red").mkdir()
        (directory / "cats" / "red" / "b.png").write_bytes(png(np.ones((4, 4), int), (4, 4)))
        monkeypatch.chdir(directory / "cats")
        assert nnreg("init", ".", "--out", "../first.json")[0] == 0
        assert nnreg("init", ".")[1].endswith("next: nnreg run cats.json\n")

    def test_the_data_path_is_relative_to_the_spec(self, directory, nnreg):
        (directory / "specs").mkdir()
        assert nnreg("init", "iris.csv", "--out", "specs/a.json")[0] == 0
        assert read_spec("specs/a.json").spec.data.path == "../iris.csv"
        assert nnreg("validate", "specs/a.json")[0] == 0
        assert nnreg("init", "iris.csv", "--out", "nowhere/a.json")[0] == 2

    def test_run_accepts_the_spec_on_standard_output(self, directory, nnreg):
        code, out, _ = nnreg("init", "iris.csv", "--out", "-")
        assert code == 0
        assert not (directory / "iris.json").exists()
        assert nnreg("run", "-", "--set", "train.epochs=2", "--out", "run", stdin=out)[0] == 0

    def test_json_has_the_spec_and_the_reasons(self, nnreg):
        found = json.loads(nnreg("init", "iris.csv", "--json")[1])
        assert found["spec"] == jsonc.loads(Path("iris.json").read_text())
        assert found["file"] == "iris.json"
        assert found["target"] == "species"

    def test_an_existing_schema_is_referenced(self, directory, nnreg):
        (directory / "nnreg.schema.json").write_text("{}")
        nnreg("init", "iris.csv")
        assert (
            jsonc.loads((directory / "iris.json").read_text())["$schema"] == "./nnreg.schema.json"
        )

    def test_a_first_line_that_looks_like_a_row_is_one(self, directory, nnreg):
        body = "".join(f"{i * 0.3:.1f},{i},{'ab'[i % 2]}\n" for i in range(30))
        (directory / "bare.csv").write_text("5.1,3.5,a\n" + body)
        code, out, err = nnreg("init", "bare.csv")
        assert (code, err) == (0, "")
        assert 'reads it with the source {"type": "csv", "header": false}' in out
        assert nnreg("validate", "bare.json")[0] == 0
        (directory / "years.csv").write_text("2019,2020,name\n" + body)
        assert "column names" not in nnreg("init", "years.csv")[2]
        assert read_spec("years.json").tree["data"]["source"] == "csv"

    def test_a_first_line_of_values_in_a_short_file_is_reported_once(self, directory, nnreg):
        (directory / "bare.csv").write_text("5.1,3.5\n1,2\n3,4\n")
        note = nnreg("init", "bare.csv")[2]
        assert note.count("line 1: taken as column names, but '5.1' looks like a value") == 1

    def test_a_mistyped_target_writes_nothing(self, directory, nnreg):
        code, _, err = nnreg("init", "iris.csv", "--target", "specis")
        assert code == 2
        assert "did you mean 'species'" in err
        assert not (directory / "iris.json").exists()

    def test_on_a_terminal_it_asks_for_the_target(self, directory, monkeypatch, nnreg):
        monkeypatch.setattr("nnreg.cli.init.on_terminal", lambda: True)
        code, out, err = nnreg("init", "iris.csv", stdin="petal_length\n")
        assert code == 0
        assert "column to predict [species]" in err
        assert "predicts 'petal_length', a number (it was requested)" in out
        assert nnreg("init", "iris.csv", "--force", stdin="\n")[1].startswith("columns: ")
        assert read_spec("iris.json").spec.data.target == "species"


class TestTry:
    @pytest.fixture(autouse=True)
    def directory(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("nnreg.starter.network_plan.UNITS", {0: (4,)})
        monkeypatch.setattr("nnreg.starter.network_plan.MEMBERS", {0: 1})
        monkeypatch.setattr("nnreg.starter.network_plan.EPOCHS", {0: 4})
        monkeypatch.setattr("nnreg.runs.trial.ESTIMATE_SECONDS", 0.01)
        (tmp_path / "iris.csv").write_bytes((MODELS / "iris.csv").read_bytes())
        return tmp_path

    def test_it_prints_a_line_for_each_network_and_writes_the_best(self, nnreg):
        code, out, err = nnreg("init", "iris.csv", "--try")
        assert (code, err) == (0, "")
        first, *lines = out.splitlines()
        assert first.startswith("compares ")
        assert " networks by cross-validation: 5 folds of 150 rows, at most about " in first
        count = int(first.split()[1])
        assert all(" accuracy 0." in one and " ± 0." in one for one in lines[:count])
        assert lines[0].startswith("default ")
        assert lines[count].startswith("chose ")
        assert lines[count + 1] == "iris.csv: 150 rows, 5 columns"
        assert "// Chosen by cross-validation with 5 folds" in Path("iris.json").read_text()
        assert nnreg("validate", "iris.json")[0] == 0

    def test_json_has_the_table(self, nnreg):
        code, out, err = nnreg("init", "iris.csv", "--try", "--json")
        assert (code, err) == (0, "")
        found = json.loads(out)
        assert found["trial"]["chosen"] in [one["name"] for one in found["trial"]["proposals"]]
        assert len(found["trial"]["proposals"][0]["scores"]) == found["trial"]["folds"] == 5
        assert found["spec"] == jsonc.loads(Path("iris.json").read_text())

    def test_the_lines_are_not_among_the_spec_on_standard_output(self, directory, nnreg):
        code, out, err = nnreg("init", "iris.csv", "--try", "--out", "-")
        assert code == 0
        assert jsonc.loads(out)["data"]["target"] == "species"
        assert "chose " in err
        assert [one.name for one in directory.iterdir()] == ["iris.csv"]

    def test_when_it_is_interrupted_nothing_is_written(self, directory, nnreg, monkeypatch):
        def stop(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("nnreg.runs.run.Run.train", stop)
        code, _, err = nnreg("init", "iris.csv", "--try")
        assert (code, err.strip()) == (130, "stopped")
        assert [one.name for one in directory.iterdir()] == ["iris.csv"]

    def test_an_existing_file_is_found_before_anything_is_trained(self, directory, nnreg):
        (directory / "iris.json").write_text("mine")
        code, out, err = nnreg("init", "iris.csv", "--try")
        assert (code, out) == (2, "")
        assert "already exists" in err
