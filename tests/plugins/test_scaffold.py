"""nnreg plugin new: the generated plugin works unchanged, and no file is overwritten."""

import json
import os
import subprocess
import sys
import tomllib

import pytest

import nnreg
from nnreg.cli.app import main
from nnreg.cli.plugin import KINDS, LICENSES
from nnreg.errors import UsageError
from nnreg.interfaces.traced import installed
from nnreg.registry.scaffold import COMMANDS, FORMULAS, USAGE, Scaffold


def new(*arguments):
    """Run the command in the working directory; return its exit code."""
    with pytest.raises(SystemExit) as caught:
        main(["plugin", "new", *arguments])
    return caught.value.code


def install(directory, module, plugin):
    """Write the metadata that pip writes for a distribution in a directory."""
    info = directory / f"{module}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {directory.name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[nnreg]\n{plugin} = {module}\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kinds", "options"),
    [
        ([kind for kind in KINDS if kind != "executor"], []),
        pytest.param(["executor"], [], marks=pytest.mark.slow),  # it starts processes
        pytest.param(
            FORMULAS,
            ["--formula"],
            marks=pytest.mark.skipif(not installed(), reason="needs autograd"),
        ),
    ],
)
def test_the_tests_of_a_new_plugin_of_every_kind_pass(tmp_path, monkeypatch, kinds, options):
    monkeypatch.chdir(tmp_path)
    directories = []
    for kind in kinds:
        assert new(f"nnreg-new-{kind}", f"--{kind}", f"new_{kind}", *options) == 0
        directories.append(tmp_path / f"nnreg-new-{kind}")
        install(directories[-1], f"nnreg_new_{kind}", f"new_{kind}")
    paths = [*map(str, directories), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("NNREG_PLUGINS", ",".join(directory.name for directory in directories))
    tests = [str(directory / "tests") for directory in directories]
    config = ["-c", str(directories[0] / "pyproject.toml"), "--import-mode=importlib"]
    command = [sys.executable, "-m", "pytest", *config, *tests]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    for kind in kinds:
        assert f"test_new_{kind}.py" in done.stdout


def test_a_plugin_with_a_formula_requires_autograd_and_other_kinds_have_none():
    files = Scaffold("nnreg-gain", "layer", "gain", formula=True).files()
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["dependencies"][0].startswith("nnreg[autograd]")
    assert "def formula" in files["nnreg_gain.py"]
    with pytest.raises(UsageError, match="--formula is for activation, loss, layer"):
        Scaffold("nnreg-rate", "schedule", "rate", formula=True)


def test_every_kind_has_a_template_and_every_licence_a_text():
    assert USAGE.keys() | COMMANDS.keys() == set(KINDS)
    for licence in LICENSES:
        files = Scaffold("nnreg-mish", "activation", "mish", licence, "Ada Lovelace").files()
        project = tomllib.loads(files["pyproject.toml"])["project"]
        assert project["authors"] == [{"name": "Ada Lovelace"}]
        assert project.get("license", "none") == licence
        assert ("LICENSE" in files) == ("license-files" in project) == (licence != "none")
        if licence in ("MIT", "BSD-3-Clause"):
            assert "Ada Lovelace" in files["LICENSE"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_placeholder_of_a_template_is_left(kind):
    files = Scaffold("nnreg-hard-mish", kind, "hard_mish", author='Ada "Countess" Lovelace').files()
    assert "nnreg_hard_mish.py" in files
    assert tomllib.loads(files["pyproject.toml"])["project"]["entry-points"] == {
        "nnreg": {"hard_mish": "nnreg_hard_mish"}
    }
    assert "class HardMish(" in files["nnreg_hard_mish.py"]
    if kind in USAGE:
        json.loads(files["README.md"].split("```json")[1].split("```")[0])
    for path, text in files.items():
        for name in ("my_", "my-", "MyC", "AUTHOR", "YEAR", "KIND", "USAGE", "LICENSE-ID"):
            assert name not in text, (path, name)


@pytest.mark.parametrize(
    ("distribution", "component", "message"),
    [
        ("-mish", "mish", "'-mish' cannot be the name of a distribution"),
        ("a/b", "mish", "cannot be the name of a distribution"),
        ("3-mish", "mish", "Python cannot import; begin with a letter"),
        ("class", "mish", "Python cannot import"),
        ("nnreg-mish", "Mish", "use lowercase letters, digits and _"),
        ("nnreg-mish", "my-mish", "use lowercase letters, digits and _"),
        ("nnreg-mish", "activation", "would be Activation, which nnreg has already"),
        ("nnreg-mish", "none", "would be None"),
    ],
)
def test_an_invalid_name_is_refused(distribution, component, message):
    with pytest.raises(UsageError, match=message):
        Scaffold(distribution, "activation", component)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nnreg-mish"], "found 0"),
        (["nnreg-mish", "--activation", "a", "--loss", "b"], "found 2"),
        (["numpy", "--loss", "focal"], "a module 'numpy' is installed already"),
        (["taken", "--loss", "focal"], "taken exists already; nothing was written"),
        (["nnreg-mish", "--loss", "focal", "--license", "GPL"], "invalid value for '--license'"),
    ],
)
def test_invalid_arguments_are_an_error_and_nothing_is_written(
    arguments, message, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    assert new(*arguments) == 2
    assert message in capfd.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["taken"]


def test_a_component_may_have_the_name_of_another_which_is_noted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert new("nnreg-mine", "--loss", "huber") == 0
    note = (
        f"nnreg {nnreg.__version__} has the loss 'huber' too; write \"nnreg-mine:huber\" for yours"
    )
    assert note in capsys.readouterr().err
