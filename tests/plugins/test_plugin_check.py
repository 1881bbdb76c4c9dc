"""The output of nnreg plugin check, which writes no file."""

import json
import os
import subprocess
import sys

import pytest

from nnreg.cli.app import main
from tests.helpers.fake_distributions import SWISH

GOOD = SWISH.replace("NAME", "'swish'").replace("x * sigmoid(beta * x)", "beta · x")
BAD = GOOD.replace("dy * self.beta", "dy")


@pytest.fixture
def check(capfd, monkeypatch, tmp_path):
    """Return a function that runs the command and returns its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(["plugin", "check", *arguments])
        return caught.value.code, *capfd.readouterr()

    return run


def test_a_file_that_passes_is_reported(check, tmp_path):
    (tmp_path / "good.py").write_text(GOOD)
    code, out, err = check("good.py")
    assert (code, err) == (0, "")
    assert "activation swish, from good.py" in out
    assert "dispatch" in out
    assert "swish: passed" in out
    assert "failed" not in out


def test_a_failure_is_reported_with_the_simplest_configuration_and_exit_code_1(check, tmp_path):
    (tmp_path / "bad.py").write_text(BAD)
    code, out, _ = check("bad.py", "--json")
    report = json.loads(out)
    assert (code, report["passed"]) == (1, False)
    (component,) = report["components"]
    failed = {c["check"]: c["found"] for c in component["checks"] if not c["passed"]}
    assert failed.keys() == {"gradient", "kinks"}
    assert failed["gradient"].startswith("Swish(beta=0.0): the gradient is off by 1")
    assert all(c["promise"] for c in component["checks"])
    code, out, _ = check("bad.py")
    assert code == 1
    assert "swish: 2 of 15 checks failed" in out


def test_more_examples_find_rare_failures(check, tmp_path):
    rare = GOOD.replace("dy * self.beta", "dy * (self.beta + (1.5 < self.beta < 2))")
    (tmp_path / "rare.py").write_text(rare)
    assert check("rare.py", "--examples", "2")[0] == 0
    assert check("rare.py", "--examples", "60")[0] == 1


def test_nothing_is_written_to_the_working_directory_or_the_users_home(tmp_path):
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    home.mkdir()
    (here / "good.py").write_text(GOOD)
    command = [sys.executable, "-m", "nnreg", "plugin", "check", "good.py"]
    environment = {**os.environ, "HOME": str(home)}
    environment.pop("XDG_CONFIG_HOME", None)
    subprocess.run(command, cwd=here, check=True, capture_output=True, env=environment)
    assert [path.name for path in here.iterdir()] == ["good.py"]
    assert not list(home.iterdir())


def test_a_component_a_module_and_a_distribution_can_be_named(check, install):
    install("nnreg-good", GOOD, plugin="good")
    for target in ("swish", "nnreg_good", "nnreg-good", "good"):
        assert "swish: passed" in check(target)[1], target
    assert "softplus" not in check("nnreg.builtin.losses", "--examples", "1")[1]


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("swich", 2, "no component, file, module or distribution 'swich'"),
        ("reloo", 2, "did you mean 'relu'?"),
        ("nowhere.py", 1, "nowhere.py: cannot read the plugin"),
        ("broken.py", 1, "plugin broken.py failed: ZeroDivisionError"),
        ("events.py", 2, "events.py provides no component to check"),
    ],
)
def test_a_target_that_cannot_be_checked_is_an_error(check, tmp_path, target, code, message):
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "events.py").write_text(
        "from nnreg import hookimpl\n\n@hookimpl\ndef nnreg_run_started(run):\n    pass\n"
    )
    found, out, err = check(target)
    assert (found, out) == (code, "")
    assert message in err


def test_without_hypothesis_the_error_says_what_to_install(check, monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    code, _, err = check("relu")
    assert code == 2
    assert "pip install hypothesis" in err


FORGETFUL = GOOD.replace("        return", "        ", 1)


def test_one_cause_is_reported_once(check, tmp_path):
    (tmp_path / "forgetful.py").write_text(FORGETFUL)
    code, out, _ = check("forgetful.py", "--json")
    (component,) = json.loads(out)["components"]
    (found,) = [c["found"] for c in component["checks"] if not c["passed"]]
    assert code == 1
    assert ".forward returned None; expected two values, the output and the backward" in found


def test_a_component_of_a_built_in_s_name_is_checked_by_file_or_qualified_name(
    check, tmp_path, install
):
    (tmp_path / "good.py").write_text(GOOD.replace("'swish'", "'relu'"))
    install("nnreg-relu", GOOD.replace("'swish'", "'relu'"))
    for target, provider in (
        ("good.py", "good.py"), ("./good.py:relu", "good.py"), ("nnreg_relu:relu", "nnreg-relu"),
    ):  # fmt: skip
        code, out, _ = check(target, "--json", "--examples", "2")
        report = json.loads(out)
        assert code == 0
        assert [one["distribution"] for one in report["components"]] == [provider]
    _, out, _ = check("relu", "--examples", "2")
    assert "activation relu, from nnreg 0" in out
    assert "activation relu, from nnreg-relu 1.2" in out
    assert "did you mean 'nnreg-relu:relu'?" in check("nnreg-relu:reluu")[2]
    assert "good.py:relo provides no component to check" in check("good.py:relo")[2]


def test_a_reference_to_a_class_that_cannot_be_imported_is_an_error(check, tmp_path):
    lost = "from nnreg import hookimpl\n@hookimpl\ndef nnreg_losses(): return {'a': 'lost:A'}\n"
    (tmp_path / "lost.py").write_text(lost)
    code, out, err = check("lost.py")
    assert (code, out) == (1, "")
    assert "registers 'a' as 'lost:A', which cannot be imported: ModuleNotFoundError" in err
