"""nnreg plugin check: what it prints, and what is remembered as verified."""

import json
import subprocess
import sys

import pytest

from nnreg.cli.app import main
from nnreg.registry.registry import Registry
from nnreg.registry.verified import remember, verified
from tests.helpers.fake_distributions import SWISH, distribution

GOOD = SWISH.replace("NAME", "'swish'").replace("x * sigmoid(beta * x)", "beta · x")
BAD = GOOD.replace("dy * self.beta", "dy")


@pytest.fixture
def check(capfd, monkeypatch, tmp_path):
    """Run the command in a folder of its own; return its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNREG_HOME", str(tmp_path / "home"))

    def run(*arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(["plugin", "check", *arguments])
        return caught.value.code, *capfd.readouterr()

    return run


def test_a_file_that_passes_is_verified(check, tmp_path):
    (tmp_path / "good.py").write_text(GOOD)
    code, out, err = check("good.py")
    assert (code, err) == (0, "")
    assert "activation swish, from good.py" in out
    assert "dispatch" in out
    assert "swish: verified" in out
    assert "failed" not in out
    assert {path.name for path in tmp_path.iterdir()} == {"good.py", "home"}


def test_a_failure_is_told_with_the_simplest_configuration_and_exit_code_1(check, tmp_path):
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
    assert "swish: 2 of 12 checks failed" in out


def test_more_examples_find_what_is_rare(check, tmp_path):
    rare = GOOD.replace("dy * self.beta", "dy * (self.beta + (1.5 < self.beta < 2))")
    (tmp_path / "rare.py").write_text(rare)
    assert check("rare.py", "--examples", "2")[0] == 0
    assert check("rare.py", "--examples", "60")[0] == 1


def test_nothing_is_left_where_it_runs(tmp_path):
    (tmp_path / "good.py").write_text(GOOD)
    command = [sys.executable, "-m", "nnreg", "plugin", "check", "good.py"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert [path.name for path in tmp_path.iterdir()] == ["good.py"]


def test_a_component_a_module_and_a_distribution_can_be_named(check, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    distribution(tmp_path, "nnreg-good", GOOD, plugin="good")
    try:
        for target in ("swish", "nnreg_good", "nnreg-good", "good"):
            assert "swish: verified" in check(target)[1], target
    finally:
        sys.modules.pop("nnreg_good", None)
    assert "softplus" not in check("nnreg.builtin.losses", "--examples", "1")[1]


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("swich", 2, "no component, file, module or distribution 'swich'"),
        ("reloo", 2, "did you mean 'relu'?"),
        ("nowhere.py", 1, "nowhere.py: cannot read the plugin"),
        ("broken.py", 1, "plugin broken.py failed: ZeroDivisionError"),
        ("events.py", 2, "events.py provides no component that could be checked"),
    ],
)
def test_what_cannot_be_checked_is_told(check, tmp_path, target, code, message):
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "events.py").write_text(
        "from nnreg import hookimpl\n\n@hookimpl\ndef nnreg_run_started(run):\n    pass\n"
    )
    found, out, err = check(target)
    assert (found, out) == (code, "")
    assert message in err


def test_without_hypothesis_it_says_what_to_install(check, monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    code, _, err = check("relu")
    assert code == 2
    assert "pip install hypothesis" in err


def is_verified(entry):
    return verified([entry]) == {entry}


def entry_of(path):
    registry = Registry()
    registry.add_file(path)
    return registry.find("activation", "swish")


def test_verified_ends_with_a_change_of_the_file_or_a_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("NNREG_HOME", str(tmp_path / "home"))
    path = tmp_path / "good.py"
    path.write_text(GOOD)
    entry = entry_of(path)
    assert not is_verified(entry)
    remember(entry, passed=True)
    assert is_verified(entry)
    remember(entry, passed=False)
    assert not is_verified(entry)
    remember(entry, passed=True)
    path.write_text(GOOD + "\n")
    assert not is_verified(entry)
    assert not is_verified(entry_of(path))
    path.write_text(GOOD)
    assert is_verified(entry_of(path))
    monkeypatch.setattr("nnreg.registry.verified.__version__", "9")
    assert not is_verified(entry_of(path))


@pytest.mark.parametrize("text", ["", "[]", "{", "\xff"])
def test_a_damaged_memory_is_an_empty_one(tmp_path, monkeypatch, text):
    monkeypatch.setenv("NNREG_HOME", str(tmp_path))
    (tmp_path / "verified.json").write_bytes(text.encode("latin-1"))
    path = tmp_path / "good.py"
    path.write_text(GOOD)
    assert not is_verified(entry_of(path))
    remember(entry_of(path), passed=True)
    assert is_verified(entry_of(path))


def test_where_nothing_can_be_remembered_a_note_says_so(check, tmp_path, monkeypatch):
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "home").write_text("a file")
    code, _, err = check("good.py")
    assert code == 0
    assert err.startswith(f"note: {tmp_path}/home/verified.json: the outcome")


def test_plugins_lists_what_is_verified(check, tmp_path, capfd):
    (tmp_path / "good.py").write_text(GOOD)
    for expected in (None, {"activation": ["swish"]}):
        for arguments in (["--json"], []):
            with pytest.raises(SystemExit):
                main(["plugins", "--plugin", "good.py", *arguments])
            out = capfd.readouterr().out
            if arguments:
                (row,) = (row for row in json.loads(out) if row["plugin"] == "good.py")
                assert row["verified"] == (expected or {})
            else:
                assert ("activation: swish (verified)" in out) == bool(expected)
        check("good.py")
