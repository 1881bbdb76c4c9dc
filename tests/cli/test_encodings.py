"""Output where the encoding of the system cannot represent all characters."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_hostile_text import in_terminal

PROGRAM = [sys.executable, "-m", "nnreg"]
CODE_PAGES = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "ascii": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("encodings")
    rows = "".join(f"{i % 7},{'да' if i % 7 > 3 else 'нет 😀'}\n" for i in range(70))
    (path / "t.csv").write_text("a,y\n" + rows, encoding="utf-8")
    return path


@pytest.mark.parametrize("environment", CODE_PAGES.values(), ids=CODE_PAGES)
def test_files_and_pipes_are_utf_8(directory, environment):
    def run(*args, stdin=b""):
        command = [*PROGRAM, *args]
        done = subprocess.run(
            command, cwd=directory, env={**os.environ, **environment}, input=stdin,
            capture_output=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    spec = run("init", "t.csv", "--target", "y", "--out", "-")
    out = "out" + "".join(environment)
    assert "нет 😀" in run("run", "-", "--set", "train.epochs=2", "--out", out, stdin=spec.encode())
    assert "probability_нет 😀" in run("predict", out, "t.csv")
    assert "нет 😀" in Path(directory / out / "report.html").read_text(encoding="utf-8")
    rows = json.loads(run("predict", out, "t.csv", "--json"))
    assert {row["prediction"] for row in rows} <= {"да", "нет 😀"}
    json.loads(run("schema"))
    assert run("show", "gelu")
    assert run("doctor")


@pytest.mark.parametrize("environment", CODE_PAGES.values(), ids=CODE_PAGES)
def test_a_terminal_shows_what_its_encoding_lacks_as_escapes(directory, environment):
    commands = [
        ("init", "t.csv", "--target", "y", "--force"),
        ("run", "t.json", "--set", "train.epochs=2", "--out", "terminal" + "".join(environment)),
        ("predict", "terminal" + "".join(environment), "t.csv"),
        ("show", "gelu"),
    ]
    shown = in_terminal(directory, *commands, **environment)
    assert [code for _, code in shown] == ["0"] * 4, shown
    assert r"probability_\u043d" in shown[2][0]
