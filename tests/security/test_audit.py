"""Looking at files runs nothing: no code of theirs, no process, no network, no other writing."""

import functools
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nnreg as library
from tests.helpers.fake_distributions import swish
from tests.helpers.paths import ROOT
from tests.helpers.specs import CSV, WITH_SWISH, classifier, csv_data
from tests.security.attacks import ATTACKS
from tests.security.audit import MARKER
from tests.security.harness import of_component

TRAP = f"{MARKER} = open('executed', 'w').close()\n"

ROWS = "island,length,depth\nnorth,1.0,5.2\n"

HOOKS = "pre-commit", "post-checkout", "fsmonitor"


class Payload:
    """An object whose unpickling runs a command."""

    def __reduce__(self):
        return os.system, (f"touch executed # {MARKER}",)


@pytest.fixture(scope="module")
def received(tmp_path_factory):
    """Return a directory such as one received from elsewhere, with a trap wherever one may be."""
    directory = tmp_path_factory.mktemp("received")
    data, name = str(directory / "data.csv"), f"<script>{MARKER}</script>"
    (directory / "data.csv").write_text(CSV)
    (directory / "rows.csv").write_text(ROWS)
    (directory / "formula.csv").write_text(f"island,length,depth\n=cmd|'{MARKER}'!A1,1,2\n")
    content = classifier(data=csv_data(path=data), train={"epochs": 2})
    library.run(content, out=directory / "run")
    for file in ("nnregfile.py", "conftest.py", "sitecustomize.py", "numpy.py", "json.py"):
        (directory / file).write_text(TRAP)
        (directory / "run" / file).write_text(TRAP)
    (directory / "matplotlibrc").write_text("backend: module://nnregfile\n")
    repository(directory)
    specs = {
        "plain.json": classifier(data=csv_data(path="data.csv")),
        "unknown.json": WITH_SWISH,
        "requires.json": {**content, "requires": [f"{MARKER} @ file:///tmp/{MARKER}"]},
        "import.json": {**content, "loss": {"type": f"os.system('{MARKER}')"}},
        "path.json": classifier(data=csv_data(path=f"| touch executed # {MARKER}")),
        "pickle.json": classifier(data={"source": "npz", "path": "pickle.npz", "target": "y"}),
        "class.json": classifier(data=csv_data(path="data.csv", target=name)),
    }
    for file, spec in specs.items():
        (directory / file).write_text(json.dumps(spec))
    (directory / "pickle.npz").write_bytes(pickle.dumps(Payload()))
    (directory / "pickle.h5").write_bytes(pickle.dumps(Payload()))
    of_component(directory / "file.h5", name="swish", distribution="nnregfile.py", version="1")
    for attack in ATTACKS:
        if "link" in attack or "external" in attack:
            ATTACKS[attack].make(directory / f"{attack.replace(' ', '-')}.h5")
    return directory


def repository(directory):
    """Write a git repository whose settings and hooks name programs."""
    (directory / ".git" / "hooks").mkdir(parents=True)
    for hook in HOOKS:
        (directory / ".git" / "hooks" / hook).write_text("#!/bin/sh\ntouch executed\n")
        (directory / ".git" / "hooks" / hook).chmod(0o755)
    program = f"touch executed # {MARKER}"
    settings = f'[core]\nfsmonitor = {program}\n[filter "trap"]\nclean = {program}\n'
    (directory / ".git" / "config").write_text(settings)
    (directory / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (directory / ".gitattributes").write_text("* filter=trap\n")


AUDIT = [sys.executable, "-P", str(ROOT / "tests" / "security" / "audit.py")]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="module")
def audited_there(received):
    """Run commands in that directory, in forks of one process; return for each as `audited`."""
    if sys.platform != "linux":  # where libraries may not work in a fork
        yield functools.partial(audited, received)
        return
    with subprocess.Popen(
        AUDIT, cwd=received, env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip

        def run(*command):
            log = received.parent / f"{received.name}.audit.json"
            log.unlink(missing_ok=True)
            process.stdin.write(json.dumps([str(log), *command]) + "\n")
            process.stdin.flush()
            exit_code = int(process.stdout.readline())
            output = Path(f"{log}.txt").read_text()
            assert "Traceback" not in output, output
            return json.loads(log.read_text()), exit_code, output

        yield run
        process.stdin.close()


def audited(directory, *command):
    """Run a command in a directory; return what it did, its exit code, and its output."""
    log = directory.parent / f"{directory.name}.audit.json"
    done = subprocess.run(
        [*AUDIT, str(log), *map(str, command)],
        cwd=directory,
        env=environment(),
        capture_output=True,
        check=False,
        text=True,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(log.read_text()), done.returncode, done.stdout + done.stderr


def outside(found, allowed):
    """Return what was done that is not writing at one of the allowed paths or below."""
    return [
        event
        for event in found
        if event[0].startswith(("subprocess", "socket", "compile", "exec", "ctypes", "os.system"))
        or not any(Path(event[1]).is_relative_to(path) for path in allowed)
    ]


READING = [
    ["validate", "plain.json", "0"],
    ["validate", "unknown.json", "2"],
    ["validate", "requires.json", "2"],
    ["validate", "import.json", "2"],
    ["validate", "path.json", "2"],
    ["validate", "pickle.json", "2"],
    ["validate", "class.json", "2"],
    ["validate", "plain.json", "--set", f"seed=__import__('os').system('{MARKER}')", "2"],
    ["run", "plain.json", "--dry-run", "0"],
    ["inspect", "run", "0"],
    ["inspect", "--verify", "run", "0"],
    ["inspect", "--verify", "file.h5", "4"],
    ["inspect", "pickle.h5", "1"],
    ["diff", "run", "run", "0"],
    ["predict", "run", "rows.csv", "0"],
    ["predict", "run", "formula.csv", "1"],
    ["predict", "run", "pickle.npz", "1"],
    ["predict", "file.h5", "rows.csv", "4"],
    ["predict", "pickle.h5", "rows.csv", "1"],
    ["evaluate", "run", "0"],
    ["runs", ".", "0"],
    ["compare", "run", "0"],
    ["plot", "run", "--text", "0"],
    ["show", "relu", "0"],
    ["schema", "0"],
    ["plugins", "0"],
    ["completion", "bash", "0"],
    ["init", "data.csv", "--out", "-", "0"],
]


@pytest.mark.slow
@pytest.mark.parametrize("command", READING, ids=lambda one: " ".join(one[:-1]))
def test_reading_runs_nothing_and_writes_nothing(received, audited_there, command):
    *arguments, code = command
    found, exit_code, output = audited_there(*arguments)
    assert exit_code == int(code), output
    assert found == []
    assert not (received / "executed").exists()


@pytest.mark.parametrize(
    "attack", [name for name in ATTACKS if "link" in name or "external" in name]
)
def test_a_checkpoint_with_links_opens_nothing(audited_there, attack):
    found, exit_code, output = audited_there("inspect", f"{attack.replace(' ', '-')}.h5")
    assert exit_code == 1, output
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        (["report", "run"], ["run"]),
        (["predict", "run", "rows.csv", "--out", "predictions.csv"], ["."]),
        (["init", "data.csv", "--out", "new.json"], ["."]),
    ],
    ids=lambda one: one[0],
)
def test_what_writes_a_file_writes_only_there(received, tmp_path, command, allowed):
    copy = tmp_path / "copy"
    shutil.copytree(received, copy, symlinks=True)
    before = set(copy.rglob("*"))
    found, exit_code, output = audited(copy, *command)
    assert exit_code == 0, output
    places = [path for one in allowed for path in (Path(one), copy / one)]
    assert outside(found, places) == []
    assert not (copy / "executed").exists()
    new = {path.relative_to(copy).parts[0] for path in {*copy.rglob("*")} - before}
    assert new <= {"run", "predictions.csv", "new.json"}


@pytest.mark.slow
def test_drawing_does_not_run_the_code_that_a_matplotlibrc_names(received, tmp_path):
    pytest.importorskip("matplotlib")
    copy = tmp_path / "copy"
    shutil.copytree(received, copy, symlinks=True)
    found, exit_code, output = audited(copy, "plot", "run", "--out", "curves.svg")
    assert exit_code == 0, output
    assert [event for event in found if event[0] in ("exec", "compile", "os.system")] == []
    assert not (copy / "executed").exists()


def test_the_hook_sees_what_it_looks_for(received, tmp_path):
    """Training with a trap as the plugin file is seen, so that the tests above mean something."""
    copy = tmp_path / "copy"
    shutil.copytree(received, copy, symlinks=True)
    calls = "import os, socket, subprocess\nsocket.socket()\n"
    calls += "subprocess.run(['true'])\nos.system('true')\n"
    (copy / "nnregfile.py").write_text(TRAP + calls + swish())
    found, exit_code, output = audited(copy, "run", "unknown.json", "--out", "out", "--no-report")
    assert exit_code == 0, output
    events = {event for event, *_ in found}
    assert {"subprocess.Popen", "os.system", "socket.__new__", "compile", "exec", "write"} <= events
    assert ["write", "executed"] in found
