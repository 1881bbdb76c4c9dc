"""Names in files cannot control a terminal, forge a line of output, or be taken for markup.

Each command runs in a terminal on data, specs, runs and plugins whose names contain control
characters. A simple terminal gets no styles, so every control character in its output is a name's.
"""

import contextlib
import csv
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import termios
from pathlib import Path

import pytest

import nnreg
from nnreg.checkpoint.save_load import save
from nnreg.cli.inference import _without_formula
from nnreg.runs.run import prepare_run
from tests.helpers.fake_distributions import swish

HOSTILE = "x\x1bPowned\x07\x9b31m\u202e\u2066[red]<i>\x7f\r\nFORGED: line\x85\u2028."
"""Is a control string, colours, turns the direction of writing, is markup, and forges a line."""

CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
CLASSES = [f"p{HOSTILE}", f"q{HOSTILE}"]
COLUMNS = [f"a{HOSTILE}", f"b{HOSTILE}", f"y{HOSTILE}"]
PROGRAM = [sys.executable, "-m", "nnreg"]
ROOT = Path(nnreg.__file__).parent.parent

WIDE = 4000
"""Columns in which no line is wrapped, since a wrapped line may begin with any word."""

SIMPLE = {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": str(WIDE), "LINES": "60"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Write data, specs, plugins and two runs with hostile names."""
    path = tmp_path_factory.mktemp("hostile")
    rows = [[index, CLASSES[index // 3 % 2], CLASSES[index % 2]] for index in range(40)]
    for name in (f"data{HOSTILE}.csv", "data.csv"):
        with (path / name).open("w", newline="") as file:
            csv.writer(file, lineterminator="\r\n").writerows([COLUMNS, *rows])
    with (path / "unseen.csv").open("w", newline="") as file:
        unseen = [[1, f"unseen{HOSTILE}", f"unseen{HOSTILE}"]]
        csv.writer(file, lineterminator="\r\n").writerows([COLUMNS, *rows, *unseen])
    (path / "other.csv").write_text("other\n1\n")
    spec = {
        "data": {"source": "csv", "path": "data.csv", "target": COLUMNS[2]},
        "model": {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]},
        "loss": "cross_entropy", "optimizer": "adam", "metrics": ["accuracy"],
        "train": {"epochs": 3},
    }  # fmt: skip
    for name in ("spec.json", f"spec{HOSTILE}.json"):
        (path / name).write_text(json.dumps(spec))
    broken = {**spec, HOSTILE: 1, "loss": HOSTILE, "metrics": [HOSTILE]}
    (path / "broken.json").write_text(json.dumps(broken))
    (path / f"broken{HOSTILE}.json").write_text(f"{{\n{HOSTILE}")
    names = {**spec, "data": {**spec["data"], "target": f"no{HOSTILE}", "exclude": [HOSTILE]}}
    (path / "columns.json").write_text(json.dumps(names))
    (path / "requires.json").write_text(json.dumps({**spec, "requires": [f"a{HOSTILE}"]}))
    code = swish("good").replace("y = x * sigmoid(beta * x)", f"y = {HOSTILE!r}"[:-1].strip("'"))
    (path / "good.py").write_text(code)
    (path / f"bad{HOSTILE}.py").write_text(f"raise ValueError({HOSTILE!r})")
    warns = "".join(f"warnings.warn({HOSTILE!r}, {one})\n" for one in ("N", "UserWarning"))
    lines = "import warnings\nfrom nnreg.errors import NnregWarning as N\n"
    (path / "warns.py").write_text(lines + warns + code)
    site = path / "site"
    for name, text in (("bad", f"raise ValueError({HOSTILE!r})"), ("good", swish("installed"))):
        info = site / f"nnreg_{name}-1{HOSTILE.replace('/', '')}.dist-info"
        info.mkdir(parents=True)
        (site / f"nnreg_{name}.py").write_text(text)
        shown = HOSTILE.replace("\r\n", " ").replace("\x85", "").replace("\u2028", "")
        (info / "METADATA").write_text(f"Name: nnreg-{name}{shown}\nVersion: 1{shown}\n")
        (info / "entry_points.txt").write_text(f"[nnreg]\n{name}{shown} = nnreg_{name}\n")
    damaged = site / f"damaged{HOSTILE}.dist-info"
    damaged.mkdir()
    (damaged / "entry_points.txt").write_bytes(b"\xff")
    for out, source in ((f"out{HOSTILE}", f"spec{HOSTILE}.json"), ("out", "spec.json")):
        command = [*PROGRAM, "run", source, "--out", out, "--quiet"]
        subprocess.run(command, cwd=path, check=True, capture_output=True)
    failed = path / "runs" / f"failed{HOSTILE}"
    shutil.copytree(path / "out", failed)
    (failed / "summary.json").write_text(
        json.dumps({"stopped": "error", "error": HOSTILE, "epochs": 1})
    )
    return path


CODES = {
    ("init", "data.csv", "--out", "-"): 0,
    ("init", f"data{HOSTILE}.csv", "--target", COLUMNS[2], "--out", "init.json"): 0,
    ("init", "data.csv", "--target", f"no{HOSTILE}", "--out", "-"): 2,
    ("validate", "spec.json", f"spec{HOSTILE}.json"): 0,
    ("validate", "broken.json", f"broken{HOSTILE}.json", "columns.json", "requires.json"): 2,
    ("validate", f"missing{HOSTILE}.json"): 2,
    ("run", f"spec{HOSTILE}.json", "--dry-run"): 0,
    ("run", f"spec{HOSTILE}.json"): 0,
    ("run", f"spec{HOSTILE}.json", "--json", "--no-report"): 0,
    ("run", "spec.json", "--set", "train.folds=2", "--out", f"folds{HOSTILE}"): 0,
    ("run", "spec.json", "--set", f"train.{HOSTILE}=1"): 2,
    ("run", "columns.json"): None,
    ("run", "spec.json", "--set", "optimizer.learning_rate=1e38", "--out", f"bad{HOSTILE}"): 3,
    ("resume", f"out{HOSTILE}", "--set", "train.epochs=4"): 0,
    ("resume", f"out{HOSTILE}"): 0,
    ("predict", "out", "data.csv"): 0,
    ("predict", "out", "data.csv", "--json"): 0,
    ("predict", f"out{HOSTILE}", f"data{HOSTILE}.csv"): 0,
    ("predict", "out", "unseen.csv"): None,
    ("predict", "out", "other.csv"): 1,
    ("evaluate", "out", "data.csv"): 0,
    ("evaluate", "out", "unseen.csv"): None,
    ("evaluate", "out"): 0,
    ("runs",): 0,
    ("runs", f"no{HOSTILE}"): None,
    ("report", f"out{HOSTILE}"): 0,
    ("plot", f"out{HOSTILE}", "--text"): 0,
    ("plot", f"out{HOSTILE}", "--out", f"plot{HOSTILE}.svgz"): 2,
    ("compare", "out", f"out{HOSTILE}"): 0,
    ("inspect", f"out{HOSTILE}"): 0,
    ("inspect", "--verify", f"out{HOSTILE}"): 0,
    ("inspect", f"data{HOSTILE}.csv"): 1,
    ("diff", "out", f"out{HOSTILE}"): None,
    ("rerun", f"out{HOSTILE}"): None,
    ("plugins",): 0,
    ("plugins", "--plugin", f"bad{HOSTILE}.py", "--plugin", "warns.py"): 0,
    ("-p", f"no:{HOSTILE}", "plugins"): 0,
    ("show", "good", "--plugin", "good.py"): 0,
    ("show", f"no{HOSTILE}"): 2,
    ("schema", "--plugin", "good.py"): 0,
    ("plugin", "check", f"bad{HOSTILE}.py"): 1,
    ("plugin", "check", f"no{HOSTILE}"): 2,
    ("plugin", "new", f"no{HOSTILE}", "--activation", "new_one"): 2,
    ("doctor",): 1,
    (f"no{HOSTILE}",): 2,
    ("run", f"--no{HOSTILE}"): 2,
}


RUN_ALL = """
import json, sys
from nnreg.cli.app import main
for command in json.load(open(sys.argv[1])):
    try:
        main(command)
    except SystemExit as end:
        print(f"{END} {end.code}", flush=True)
"""
END = "--- exit code"


def in_terminal(directory, *commands, **environment):
    """Run commands in one process in a terminal; return the output and exit code of each."""
    (directory / "commands.json").write_text(json.dumps(commands))
    terminal, program = pty.openpty()
    termios.tcsetwinsize(program, (60, WIDE))
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "CI")}
    path = {"PYTHONPATH": f"{directory}/site:{ROOT}", "TERM": "xterm-256color"}
    with subprocess.Popen(
        [sys.executable, "-c", RUN_ALL.replace("{END}", END), "commands.json"],
        cwd=directory, env={**kept, **path, **environment}, start_new_session=True,
        stdin=program, stdout=program, stderr=program,
    ):  # fmt: skip
        os.close(program)
        raw = b""
        with contextlib.suppress(OSError):  # on Linux: the process has ended
            while data := os.read(terminal, 2**16):
                raw += data
    os.close(terminal)
    parts = re.split(f"{END} (.*)\r\n", raw.decode(errors="replace"))
    assert len(parts) == 2 * len(commands) + 1, parts[-1]
    return list(zip(parts[::2], parts[1::2], strict=False))


@pytest.fixture(scope="module")
def output(directory):
    """Return the output of each command in a simple terminal, and its exit code."""
    return dict(zip(CODES, in_terminal(directory, *CODES, **SIMPLE), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("command", CODES, ids=lambda command: ascii(" ".join(command))[:60])
def test_a_terminal_gets_no_control_character_and_no_forged_line(output, command):
    shown, code = output[command]
    text = shown.replace("\r\n", "\n")
    found = CONTROLS.search(text)
    assert not found, ascii(text[max(found.start() - 200, 0) : found.end() + 100])
    forged = [line for line in text.split("\n") if line.startswith("FORGED")]
    assert not forged, ascii(text)
    assert CODES[command] is None or str(CODES[command]) == code, text


def test_the_styles_of_the_program_are_all_that_a_capable_terminal_gets(directory):
    commands = [
        ("run", f"spec{HOSTILE}.json", "--no-report"),
        ("predict", f"out{HOSTILE}", "data.csv"),
        ("compare", f"out{HOSTILE}", "out"),
        ("doctor",),
    ]
    for shown, _ in in_terminal(directory, *commands):
        own = re.sub(r"\x1b\[[?\d;]*[A-Za-z]|\r\n|\r", "", shown).replace("\n", "")
        found = CONTROLS.search(own)
        assert not found, ascii(own[max(found.start() - 200, 0) : found.end() + 100])
        assert "[red]" in own


def test_files_and_pipes_get_names_unchanged(directory, monkeypatch):
    monkeypatch.chdir(directory)
    command = [*PROGRAM, "predict", "out", "data.csv"]
    piped = subprocess.run(command, check=True, capture_output=True).stdout
    subprocess.run([*command, "--out", "predictions.csv"], check=True)
    assert Path("predictions.csv").read_bytes() == piped
    head, *rows = csv.reader(io.StringIO(piped.decode(), newline=""))
    assert head == ["prediction", *(f"probability_{name}" for name in CLASSES)]
    assert {row[0] for row in rows} <= set(CLASSES)
    rows = json.loads(subprocess.run([*command, "--json"], check=True, capture_output=True).stdout)
    assert {row["prediction"] for row in rows} <= set(CLASSES)
    assert len(rows) == 40


NOT_FORMULAS = ["-1.5", "+3e4", "plain", "'a", "", "a=1"]
FORMULAS = ["=1+1", "+a", "-a", "@a", "\ta", "\ra", "\na", "＝a", "-1+2", "--1"]


@pytest.mark.parametrize("text", FORMULAS + NOT_FORMULAS, ids=ascii)
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text):
    assert _without_formula(text) == (f"'{text}" if text in FORMULAS else text)


def test_reports_and_plots_have_no_control_character_and_no_element_of_a_name(directory):
    pages = [*(directory / f"out{HOSTILE}").rglob("*.html")]
    pictures = [*(directory / f"out{HOSTILE}").rglob("*.svg")]
    assert pages
    assert pictures
    for path in pages + pictures:
        content = path.read_bytes().decode()
        assert not CONTROLS.search(content), path.name
        assert "<i>" not in content
    assert "&lt;i&gt;" in pages[0].read_text()


def test_formulas_are_escaped_on_request_and_numbers_stay_numbers(nnreg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classes = ["=1+1", "+a", "@a", "＝a", "-1.5", "+3e4", "plain", "'a"]
    rows = [[str(index), name] for index in range(3) for name in classes]
    with Path("data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["x", "y"], *rows])
    spec = {
        "data": {"source": "csv", "path": "data.csv", "target": "y", "columns": {"y": "category"}},
        "model": {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]},
        "loss": "cross_entropy", "optimizer": "adam", "train": {"epochs": 1},
    }  # fmt: skip
    run = prepare_run(spec)
    run.train()
    model = run.model
    names = [*model.classes]
    assert set(names) == set(classes)
    shown = {name: name if name in NOT_FORMULAS else f"'{name}" for name in classes}
    save(model, "model.h5")
    out = nnreg("predict", "model.h5", "data.csv", "--escape-formulas")[1]
    plain = nnreg("predict", "model.h5", "data.csv")[1]
    for text, expected in ((out, set(shown.values())), (plain, set(classes))):
        head, *rows = csv.reader(io.StringIO(text, newline=""))
        assert head[1:] == [f"probability_{name}" for name in names]
        assert {row[0] for row in rows} <= expected
        assert all(float(value) >= 0 for row in rows for value in row[1:])
    assert nnreg("predict", "model.h5", "data.csv", "--escape-formulas", "--json")[0] == 2
