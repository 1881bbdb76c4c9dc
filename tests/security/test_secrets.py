"""Values that stay out of every file: secrets, the home directory, the names of user and host."""

import getpass
import json
import os
import re
import socket
import sys
from pathlib import Path

import pytest

import nnreg as library
from nnreg import DataError, SpecError
from nnreg.spec.document import read_spec
from tests.helpers.specs import CSV, classifier, csv_data

PASSWORD = "correct-horse-battery-staple"
FOLDER = "patients-of-dr-example"

SOURCE = f"""
from dataclasses import dataclass
from nnreg import DataError, Source, hookimpl
from nnreg.builtin.sources.delimited import Csv

@dataclass(frozen=True)
class Locked(Source):
    \"\"\"A CSV file that needs a password.\"\"\"
    password: str = ""

    def read(self, path):
        if self.password != {PASSWORD[::-1]!r}[::-1]:
            raise DataError("wrong password")
        return Csv().read(path)

@hookimpl
def nnreg_sources():
    return {{"locked": Locked}}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return the working directory, which is also the home directory, with a spec of secrets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    private = tmp_path / FOLDER
    private.mkdir()
    (private / "data.csv").write_text(CSV)
    (tmp_path / "locked.py").write_text(SOURCE)
    (tmp_path / "models").mkdir()
    data = csv_data(
        source={"type": "locked", "password": "${secret:PASSWORD}"},
        path="${secret:FOLDER}/data.csv",
    )
    content = classifier(data=data, train={"epochs": 2})
    (tmp_path / "models/spec.json").write_text(json.dumps(content))
    monkeypatch.setenv("NNREG_SECRET_PASSWORD", PASSWORD)
    monkeypatch.setenv("NNREG_SECRET_FOLDER", str(private))
    return tmp_path


def contents(directory):
    """Return the bytes of each file below a directory, by its path."""
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def check_absent(directory, *texts):
    files = contents(directory)
    assert any(name.endswith("last.h5") for name in files)
    for text in texts:
        found = [name for name, data in files.items() if text.encode() in data]
        assert not found, f"{text!r} is in {found}"


PLUGIN = ("--plugin", "locked.py")


def test_no_file_of_a_run_has_a_secret(project, nnreg):
    assert nnreg("run", "models/spec.json", *PLUGIN, "--out", "run")[0] == 0
    assert nnreg("report", "run", *PLUGIN)[0] == 0
    pytest.importorskip("matplotlib")
    assert nnreg("plot", "run")[0] == 0
    check_absent(project / "run", PASSWORD, FOLDER)
    assert "${secret:PASSWORD}" in (project / "run/resolved.json").read_text()
    assert "${secret:FOLDER}/data.csv" in (project / "run/environment.json").read_text()


def test_no_file_of_a_cross_validation_has_a_secret(project, nnreg):
    folds = ("--set", "train.folds=2", "--set", "data.split={}")
    assert nnreg("run", "models/spec.json", *PLUGIN, *folds, "--out", "run")[0] == 0
    check_absent(project / "run", PASSWORD, FOLDER)


def test_a_secret_given_with_set_stays_out_too(project, nnreg):
    data = {"source": "locked", "path": f"{project / FOLDER}/data.csv"}
    content = json.loads((project / "models/spec.json").read_text())
    content["data"] |= data
    (project / "models/spec.json").write_text(json.dumps(content))
    option = ("--set", "data.source.password=${secret:PASSWORD}")
    assert nnreg("run", "models/spec.json", *PLUGIN, *option, "--out", "run")[0] == 0
    check_absent(project / "run", PASSWORD)
    recorded = json.loads((project / "run/environment.json").read_text())
    assert recorded["overrides"] == ["data.source.password=${secret:PASSWORD}"]


def test_what_was_written_is_resumed_evaluated_and_run_again(project, nnreg):
    assert nnreg("run", "models/spec.json", *PLUGIN, "--out", "run", "--no-report")[0] == 0
    for command in (
        ("evaluate", "run"),
        ("predict", "run", f"{FOLDER}/data.csv"),
        ("rerun", "run"),
        ("resume", "run", "--set", "train.epochs=3", "--no-report"),
        ("run", "run/resolved.json", "--out", "again", "--no-report"),
    ):
        code, _, err = nnreg(*command, *PLUGIN)
        assert code == 0, err
    check_absent(project / "run", PASSWORD, FOLDER)
    check_absent(project / "again", PASSWORD, FOLDER)


def test_without_the_variable_the_error_names_it(project, nnreg, monkeypatch):
    assert nnreg("run", "models/spec.json", *PLUGIN, "--out", "run", "--no-report")[0] == 0
    monkeypatch.delenv("NNREG_SECRET_PASSWORD")
    for command in (
        ("run", "models/spec.json", "--out", "other"),
        ("validate", "models/spec.json"),
        ("evaluate", "run"),
        ("resume", "run", "--set", "train.epochs=3"),
        ("rerun", "run"),
    ):
        code, out, err = nnreg(*command, *PLUGIN)
        assert code != 0
        assert "the environment variable NNREG_SECRET_PASSWORD is not set" in re.sub(
            r"\s+", " ", out + err
        )
    assert not (project / "other").exists()
    assert nnreg("inspect", "run")[0] == 0


def test_a_model_in_memory_does_not_have_it_either(project, monkeypatch):
    registry = read_spec("models/spec.json", registry=with_plugin()).registry
    document = read_spec("models/spec.json", registry=registry)
    assert document.spec.data.source.password == "${secret:PASSWORD}"
    model = library.run(document)
    assert PASSWORD not in json.dumps(model.document.tree)
    library.save(model, "model.h5")
    assert PASSWORD.encode() not in Path("model.h5").read_bytes()


def with_plugin():
    from nnreg.registry.loading import Selection
    from nnreg.registry.registry import discover

    registry = discover(Selection())
    registry.add_file(Path("locked.py"))
    return registry


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("loss=${secret:LOSS}", "can only be in the path of a file or in an option of data.source"),
        ("data.target=${secret:TARGET}", "a secret can only be in the path"),
        ("data.path=${secret:}", "'${secret:}' is not a secret; write ${secret:NAME}"),
        ("data.path=${secret:A B}", "'${secret:A B}' is not a secret"),
        ("data.path=a${secret:A", "'${secret:A' is not a secret"),
    ],
)
def test_a_reference_where_it_has_no_meaning_is_an_error(project, override, problem):
    with pytest.raises(SpecError, match=re.escape(problem)):
        read_spec("models/spec.json", [override], registry=with_plugin())


def test_a_path_that_begins_with_a_secret_is_absolute(project, nnreg, monkeypatch):
    monkeypatch.setenv("NNREG_SECRET_FOLDER", FOLDER)
    code, _, err = nnreg("run", "models/spec.json", *PLUGIN, "--out", "run")
    assert code != 0
    assert "must be absolute" in err


def test_only_variables_with_the_prefix_can_be_named(project, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "value")
    with pytest.raises(DataError, match="NNREG_SECRET_AWS_SECRET_ACCESS_KEY is not set"):
        library.build(
            classifier(data=csv_data(path="${secret:AWS_SECRET_ACCESS_KEY}")),
        )


def test_the_home_directory_and_the_names_of_user_and_host_are_not_written(
    project, nnreg, monkeypatch
):
    private = project / FOLDER
    content = classifier(data=csv_data(), train={"epochs": 2})
    (private / "spec.json").write_text(json.dumps(content))
    out, spec = project / "runs" / "x", private / "spec.json"
    monkeypatch.setattr(sys, "argv", ["nnreg", "run", str(spec), f"--out={out}"])
    assert nnreg("run", spec, f"--out={out}")[0] == 0
    names = {getpass.getuser(), socket.gethostname()} - {"root", "localhost"}
    check_absent(out, str(project))
    for name in map(re.escape, names):  # that of a host may be two letters, and weights in base 64
        word = re.compile(rf"(?<![\w+/]){name}(?![\w+/=])".encode())
        assert not [file for file, data in contents(out).items() if word.search(data)], name
    recorded = json.loads((out / "environment.json").read_text())
    assert recorded["command"] == ["nnreg", "run", f"~/{FOLDER}/spec.json", "--out=~/runs/x"]
    assert list(recorded["data"]) == ["data.csv"]
    os.rename(out, project / "moved")
    assert nnreg("evaluate", "moved")[0] == 0
    assert nnreg("resume", "moved", "--set", "train.epochs=3", "--no-report")[0] == 0


def test_the_home_directory_of_another_user_is_used_when_loading(project, nnreg, monkeypatch):
    (project / FOLDER / "spec.json").write_text(json.dumps(classifier(data=csv_data())))
    assert nnreg("run", f"{FOLDER}/spec.json", "--out", "run", "--no-report")[0] == 0
    home = project.with_name("another-home")
    project.rename(home)
    os.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    assert nnreg("evaluate", "run")[0] == 0
