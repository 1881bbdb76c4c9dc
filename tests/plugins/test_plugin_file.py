"""When `nnregfile.py` beside a spec runs: only for training, and only if nobody else wrote it."""

import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import nnreg as library
from nnreg import SpecError
from nnreg.errors import NnregWarning
from nnreg.registry import plugin_file
from nnreg.registry.registry import installed
from nnreg.spec.document import read_spec
from tests.helpers.fake_distributions import swish
from tests.helpers.specs import CSV, WITH_SWISH, classifier, csv_data

RECORDING = "\nopen('executed', 'w').close()\n"

needs_owners = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no such owners")


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Return the working directory; `models` in it has an nnregfile.py, and a spec that needs it.

    When the file runs it creates the file `executed`.
    """
    monkeypatch.chdir(tmp_path)
    models = tmp_path / "models"
    models.mkdir(mode=0o755)
    (models / "data.csv").write_text(CSV)
    (models / "spec.json").write_text(json.dumps(WITH_SWISH))
    (models / "plain.json").write_text(json.dumps(classifier(data=csv_data())))
    (models / "nnregfile.py").write_text(swish() + RECORDING)
    (models / "nnregfile.py").chmod(0o644)
    return tmp_path


def executed(directory):
    """Return whether the plugin file ran, and forget it."""
    found = (directory / "executed").exists()
    (directory / "executed").unlink(missing_ok=True)
    return found


@pytest.mark.parametrize(
    "command",
    [
        ["validate", "models/spec.json"],
        ["validate", "models/spec.json", "--json"],
        ["run", "models/spec.json", "--dry-run"],
    ],
    ids=" ".join,
)
def test_what_does_not_train_does_not_run_it_and_the_error_has_the_option(
    directory, nnreg, command
):
    code, out, err = nnreg(*command)
    assert code == 2
    assert "--plugin models/nnregfile.py" in re.sub(r"\s+", " ", out + err)
    assert not executed(directory)
    assert nnreg(*command, "--plugin", "models/nnregfile.py")[0] == 0
    assert executed(directory)


@pytest.mark.parametrize(
    "command",
    [
        ["validate", "models/plain.json"],
        ["run", "models/plain.json", "--dry-run"],
        ["schema"],
        ["plugins"],
        ["show", "relu"],
        ["init", "models/data.csv", "--out", "models/new.json"],
        ["doctor"],
        ["inspect", "run"],
        ["inspect", "--verify", "run"],
        ["diff", "run", "run"],
        ["predict", "run", "models/data.csv"],
        ["evaluate", "run"],
        ["rerun", "run"],
        ["report", "run"],
        ["plot", "run", "--text"],
        ["compare", "run"],
        ["runs", "."],
        ["completion", "bash"],
    ],
    ids=" ".join,
)
def test_no_other_command_runs_it(directory, nnreg, command):
    plugin = directory / "models" / "nnregfile.py"
    plugin.rename(directory / "aside")
    assert nnreg("run", "models/plain.json", "--out", "run", "--quiet", "--no-report")[0] == 0
    shutil.move(directory / "aside", plugin)
    for path in (".", "models", "run"):
        if path != "models":
            shutil.copy(plugin, directory / path)
    code, _, err = nnreg(*command)
    assert code in (0, 1), err
    assert not executed(directory)


def test_a_valid_spec_has_a_note_that_it_was_not_run(directory, nnreg):
    code, _, err = nnreg("validate", "models/plain.json")
    assert code == 0
    assert re.sub(r"\s+", " ", err) == (
        "note: plugin nnregfile.py is not run, by default, since this trains nothing; if you trust "
        "it, add --plugin models/nnregfile.py, or call nnreg.register('models/nnregfile.py') "
    )


def test_a_blocked_file_needs_no_note(directory, nnreg):
    assert nnreg("-p", "no:nnregfile.py", "validate", "models/plain.json")[2] == ""


def test_training_and_resuming_run_it_with_a_note(directory, nnreg):
    note = "note: plugin models/nnregfile.py is loaded for this spec\n"
    code, _, err = nnreg("run", "models/spec.json", "--out", "run", "--quiet", "--no-report")
    assert (code, err) == (0, note)
    assert executed(directory)
    code, _, err = nnreg("resume", "run", "--set", "train.epochs=3", "--quiet", "--no-report")
    assert code == 0, err
    assert "nnregfile.py is loaded for this spec" in err
    assert executed(directory)


def test_resuming_a_cross_validation_runs_it_once(directory, nnreg):
    code = "with open('count', 'a') as file: file.write('x')\n"
    (directory / "models" / "nnregfile.py").write_text(swish() + code)
    folds = ("--set", "train.folds=2", "--set", "data.split={}")
    assert nnreg("run", "models/spec.json", *folds, "--out", "run", "--no-report")[0] == 0
    (directory / "count").unlink()
    assert nnreg("resume", "run", "--set", "train.epochs=3", "--no-report")[0] == 0
    assert (directory / "count").read_text() == "x"


def test_in_python_run_runs_it_and_build_does_not(directory):
    with pytest.raises(SpecError, match=r"nnreg\.register\('models/nnregfile\.py'\)"):
        library.build("models/spec.json")
    with pytest.raises(SpecError, match="nnregfile"):
        read_spec("models/spec.json")
    assert not executed(directory)
    with pytest.warns(NnregWarning, match="is loaded for this spec"):
        library.run("models/spec.json")
    assert executed(directory)


def refused(directory, nnreg, reason):
    """Check that a run does not execute the file, names the reason, and gives the option."""
    code, _, err = nnreg("run", "models/spec.json", "--out", "run")
    text = re.sub(r"\s+", " ", err)
    assert code == 2
    assert reason in text
    assert "--plugin models/nnregfile.py" in text
    assert not executed(directory)
    assert not (directory / "run").exists()
    assert nnreg("run", "models/plain.json", "--out", "plain", "--no-report")[0] == 0
    assert not executed(directory)
    with_option = ("--plugin", "models/nnregfile.py", "--no-report")
    assert nnreg("run", "models/spec.json", "--out", "run", *with_option)[0] == 0
    assert executed(directory)


@needs_owners
@pytest.mark.parametrize("mode", [0o664, 0o646])
@pytest.mark.parametrize("name", ["models", "models/nnregfile.py"])
def test_it_is_refused_where_others_can_write(directory, nnreg, monkeypatch, name, mode):
    monkeypatch.setattr(plugin_file, "_is_private", lambda group: False)
    (directory / name).chmod(mode | 0o111 if name == "models" else mode)
    refused(directory, nnreg, f"others can write to {name} (chmod go-w {name})")


@needs_owners
@pytest.mark.parametrize(
    ("group", "members", "runs"),
    [("ann", [], True), ("ann", ["ann"], True), ("ann", ["bob"], False), ("staff", [], False)],
)
def test_a_group_that_is_the_users_alone_may_write(
    directory, nnreg, monkeypatch, group, members, runs
):
    gid = os.stat("models").st_gid
    user = SimpleNamespace(pw_name="ann", pw_gid=gid)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: user)
    entry = SimpleNamespace(gr_name=group, gr_gid=gid, gr_mem=members)
    monkeypatch.setattr("grp.getgrgid", lambda gid: entry)
    (directory / "models").chmod(0o775)
    code, _, _ = nnreg("run", "models/spec.json", "--out", "run", "--no-report", "--quiet")
    assert (code == 0) == executed(directory) == runs


@needs_owners
@pytest.mark.parametrize("name", ["models", "models/nnregfile.py"])
def test_it_is_refused_if_it_belongs_to_another_user(directory, nnreg, monkeypatch, name):
    real = os.stat
    target = (directory / name).resolve()

    def of_another_user(path, *args, **options):
        found = real(path, *args, **options)
        if not isinstance(path, int) and os.fspath(path) == str(target):
            values = list(found)
            values[4] = os.geteuid() + 1
            return os.stat_result(values)
        return found

    monkeypatch.setattr("os.stat", of_another_user)
    refused(directory, nnreg, f"{name} belongs to another user")


@needs_owners
def test_a_file_of_root_is_trusted(directory, nnreg, monkeypatch):
    if os.geteuid():
        pytest.skip("only root can create a file of root")
    monkeypatch.setattr("os.geteuid", lambda: 1234)
    assert nnreg("run", "models/spec.json", "--out", "run", "--no-report")[0] == 0
    assert executed(directory)


def test_a_link_to_another_directory_is_refused(directory, nnreg):
    elsewhere = directory / "elsewhere.py"
    shutil.move(directory / "models" / "nnregfile.py", elsewhere)
    (directory / "models" / "nnregfile.py").symlink_to(elsewhere)
    refused(directory, nnreg, f"it is a symbolic link to {elsewhere}")


def test_a_link_within_the_directory_is_followed(directory, nnreg):
    plugin = directory / "models" / "nnregfile.py"
    plugin.rename(plugin.with_name("swish.py"))
    plugin.symlink_to("swish.py")
    assert nnreg("run", "models/spec.json", "--out", "run", "--no-report")[0] == 0
    assert executed(directory)


def test_a_spec_from_standard_input_or_a_mapping_runs_none(directory, nnreg, monkeypatch):
    monkeypatch.chdir(directory / "models")
    with pytest.raises(SpecError, match="no activation 'swish'"):
        library.run(WITH_SWISH)
    assert not (directory / "models" / "executed").exists()


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "missing"])
def test_a_directory_that_cannot_exist_has_none(name):
    assert installed().with_plugin_file(Path(name), run=True) is installed()


def test_a_file_that_was_not_run_is_not_recorded(directory, nnreg):
    (directory / "models" / "nnregfile.py").chmod(0o666)
    assert nnreg("run", "models/plain.json", "--out", "run", "--no-report")[0] == 0
    recorded = json.loads((directory / "run" / "environment.json").read_text())
    assert "nnregfile.py" not in recorded["distributions"]


def test_unpickling_does_not_run_a_file_that_was_not_run(directory):
    import pickle

    with pytest.warns(NnregWarning, match="is not run"):
        document = read_spec("models/plain.json")
    assert document.registry.plugins["nnregfile.py"].blocked_by
    pickle.loads(pickle.dumps(document))
    assert not executed(directory)
    assert "nnregfile.py" not in installed().plugins
