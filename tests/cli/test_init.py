"""`nnreg init`."""

import json
from pathlib import Path

import numpy as np
import pytest

from nnreg.spec import jsonc
from nnreg.spec.document import read_spec
from tests.components.sources.test_images import png
from tests.helpers.paths import MODELS


class TestCommand:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "iris.csv").write_bytes((MODELS / "iris.csv").read_bytes())
        return tmp_path

    def test_it_writes_a_spec_and_says_what_to_type_next(self, nnreg):
        code, out, err = nnreg("init", "iris.csv")
        assert (code, err) == (0, "")
        assert "iris.csv: 150 rows, 5 columns" in out
        assert "predicts 'species', one of 3 classes (its name is that of a target)" in out
        *_, wrote, following = out.splitlines()
        assert wrote == "wrote iris.json"
        assert following.startswith("next: nnreg ")
        changes = ("--set", "train.epochs=2", "--out", "run")
        assert nnreg(*following.removeprefix("next: nnreg ").split(), *changes)[0] == 0

    def test_a_file_that_is_there_is_replaced_only_by_force(self, folder, nnreg):
        (folder / "iris.json").write_text("mine")
        code, _, err = nnreg("init", "iris.csv")
        assert code == 2
        assert "iris.json: is there already; choose another --out, or --force" in err
        assert (folder / "iris.json").read_text() == "mine"
        assert nnreg("init", "iris.csv", "--force")[0] == 0
        assert read_spec("iris.json")

    def test_a_folder_gives_the_spec_its_name(self, folder, nnreg, monkeypatch):
        (folder / "cats" / "tabby").mkdir(parents=True)
        for name in ("a.png", "c.png"):
            (folder / "cats" / "tabby" / name).write_bytes(png(np.zeros((4, 4), int), (4, 4)))
        assert "no column looks like a target" in nnreg("init", "cats/")[2]  # with one class
        (folder / "cats" / "red").mkdir()
        (folder / "cats" / "red" / "b.png").write_bytes(png(np.ones((4, 4), int), (4, 4)))
        monkeypatch.chdir(folder / "cats")
        assert nnreg("init", ".", "--out", "../first.json")[0] == 0
        assert nnreg("init", ".")[1].endswith("next: nnreg run cats.json\n")

    def test_the_data_are_found_from_where_the_spec_is(self, folder, nnreg):
        (folder / "specs").mkdir()
        assert nnreg("init", "iris.csv", "--out", "specs/a.json")[0] == 0
        assert read_spec("specs/a.json").spec.data.path == "../iris.csv"
        assert nnreg("validate", "specs/a.json")[0] == 0
        assert nnreg("init", "iris.csv", "--out", "nowhere/a.json")[0] == 2

    def test_standard_output_is_a_spec_that_run_takes(self, folder, nnreg):
        code, out, _ = nnreg("init", "iris.csv", "--out", "-")
        assert code == 0
        assert not (folder / "iris.json").exists()
        assert nnreg("run", "-", "--set", "train.epochs=2", "--out", "run", stdin=out)[0] == 0

    def test_programs_get_the_spec_and_the_reasons(self, nnreg):
        found = json.loads(nnreg("init", "iris.csv", "--json")[1])
        assert found["spec"] == jsonc.loads(Path("iris.json").read_text())
        assert found["file"] == "iris.json"
        assert found["target"] == "species"

    def test_a_schema_that_lies_there_is_named(self, folder, nnreg):
        (folder / "nnreg.schema.json").write_text("{}")
        nnreg("init", "iris.csv")
        assert jsonc.loads((folder / "iris.json").read_text())["$schema"] == "./nnreg.schema.json"

    def test_a_first_line_that_looks_like_a_row_is_told(self, folder, nnreg):
        body = "5.1,3.5,a\n" + "".join(f"{i * 0.3:.1f},{i},{'ab'[i % 2]}\n" for i in range(30))
        (folder / "bare.csv").write_text(body)
        assert (
            "takes the first line for names, of which '5.1' looks" in nnreg("init", "bare.csv")[1]
        )
        (folder / "years.csv").write_text(body.replace("5.1,3.5", "2019,2020"))
        assert "first line" not in nnreg("init", "years.csv")[1]

    def test_a_mistyped_target_writes_nothing(self, folder, nnreg):
        code, _, err = nnreg("init", "iris.csv", "--target", "specis")
        assert code == 2
        assert "did you mean 'species'" in err
        assert not (folder / "iris.json").exists()

    def test_on_a_terminal_it_asks_what_to_predict(self, folder, monkeypatch, nnreg):
        monkeypatch.setattr("nnreg.cli.init.on_terminal", lambda: True)
        code, out, err = nnreg("init", "iris.csv", stdin="petal_length\n")
        assert code == 0
        assert "predict which [species]" in err
        assert "predicts 'petal_length', a number (it was asked for)" in out
        assert nnreg("init", "iris.csv", "--force", stdin="\n")[1].startswith("columns: ")
        assert read_spec("iris.json").spec.data.target == "species"
