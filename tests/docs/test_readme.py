"""The commands and code in the README."""

import json
import re
import tomllib
from pathlib import Path

import pytest

import nnreg
from nnreg.cli.app import cli, main
from nnreg.registry.registry import installed
from nnreg.spec.document import read_spec
from nnreg.starter.examples import EXAMPLES, copy
from tests.helpers.paths import ROOT

README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_there_are_two_one_line_commands():
    lines = [line for line in README.splitlines() if line.startswith("python3 -m venv .venv && ")]
    assert lines == [
        "python3 -m venv .venv && .venv/bin/pip install -q -e . && "
        ".venv/bin/nnreg run models/penguins.json",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/pytest",
    ]


def test_the_example_spec_is_valid():
    text = blocks("json")[0]
    assert read_spec(json.loads(text)).spec.train.epochs == 100


def test_the_example_errors_are_those_of_the_spec_with_mistakes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mistakes = {'{"type": "leaky_relu", "slope": 0.1}': '"rleu"', "0.2},\n    {": "true},\n    {"}
    text = blocks("json")[0]
    for right, wrong in mistakes.items():
        text = text.replace(right, wrong)
    Path("spec.json").write_text(text)
    with pytest.raises(nnreg.SpecError) as caught:
        read_spec("spec.json", ["train.epoch=5"])
    assert f"error: {caught.value}" in README


def test_the_example_python_code_runs(tmp_path, monkeypatch):
    run, build = blocks("python")[:2]
    monkeypatch.chdir(tmp_path)
    copy(EXAMPLES["penguins"], tmp_path)
    names = {}
    exec(run, names)
    assert names["model"].classify(names["rows"]).tolist() == ["Gentoo"]
    spec = {**json.loads(blocks("json")[0]), "data": None, "train": {}}
    x, y = [[0.0, 1.0], [1.0, 0.0]] * 20, ["a", "b"] * 20
    exec(build, {"nnreg": nnreg, "spec": spec, "x": x, "y": y})
    assert (tmp_path / "model.h5").exists()


def test_the_example_plugin_is_that_in_the_repository():
    shown = blocks("python")[2]
    code = (ROOT / "plugins/nnreg-swish/nnreg_swish.py").read_text()
    assert re.sub(r"\s+", " ", shown) == re.sub(r"\s+", " ", code)
    project = tomllib.loads((ROOT / "plugins/nnreg-swish/pyproject.toml").read_text())["project"]
    assert project["entry-points"] == tomllib.loads(blocks("toml")[0])["project"]["entry-points"]


def test_every_command_is_listed():
    with pytest.raises(SystemExit):
        main(["--help"])  # commands are registered on first use
    assert len(cli.commands) == 26
    for command in cli.commands:
        assert re.search(rf"`(nnreg )?{command}\b", README), command


COUNTS = {
    "activation": (32, "32 activations"),
    "loss": (28, "28 losses"),
    "layer": (99, "99 layers"),
    "optimizer": (18, "18 optimizers"),
    "schedule": (10, "ten learning-rate schedules"),
    "initializer": (15, "15 initializers"),
    "metric": (23, "23 metrics"),
    "source": (11, "11 data sources"),
}


@pytest.mark.parametrize("kind", COUNTS)
def test_the_changelog_counts_the_components(kind):
    count, phrase = COUNTS[kind]
    own = [entry for entry in installed() if entry.kind == kind and entry.plugin == "nnreg"]
    assert len(own) == count
    assert phrase in re.sub(r"\s+", " ", (ROOT / "CHANGELOG.md").read_text())


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == nnreg.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(
        rf"^To become {nnreg.__version__},|^## \[{nnreg.__version__}\]", changelog, re.M
    )


def test_the_changelog_has_the_sections_of_keep_a_changelog():
    titles = re.findall(r"^###? (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert titles[0] == "[Unreleased]"
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert {title for title in titles if not title.startswith("[")} <= kinds
