"""Output where the encoding of the system cannot represent all characters."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_hostile_text import in_terminal

END = "--- end"
RUN_ALL = f"""
import json, sys
from nnreg.cli.app import main
for command in json.loads(sys.argv[1]):
    try:
        main(command)
    except SystemExit as end:
        if end.code:
            raise
    print("{END}", flush=True)
"""
"""Runs commands in one process, with a line after the output of each."""

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
    def run(*commands, stdin=""):
        done = subprocess.run(
            [sys.executable, "-c", RUN_ALL, json.dumps(commands)],
            cwd=directory, env={**os.environ, **environment}, input=stdin.encode(),
            capture_output=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        *printed, rest = done.stdout.decode().split(f"{END}{os.linesep}")
        assert rest == ""
        return printed

    spec, schema, shown, examined = run(
        ["init", "t.csv", "--target", "y", "--out", "-"], ["schema"], ["show", "gelu"], ["doctor"]
    )
    json.loads(schema)
    assert shown
    assert examined
    out = "out" + "".join(environment)
    (printed,) = run(["run", "-", "--set", "train.epochs=2", "--out", out], stdin=spec)
    assert "нет 😀" in printed
    assert "нет 😀" in Path(directory / out / "report.html").read_text(encoding="utf-8")
    table, rows = run(["predict", out, "t.csv"], ["predict", out, "t.csv", "--json"])
    assert "probability_нет 😀" in table
    assert {row["prediction"] for row in json.loads(rows)} <= {"да", "нет 😀"}


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
