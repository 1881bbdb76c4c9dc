"""docs/plugins.md: every block is run in order, and every hook is there as it is."""

import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nnreg import hookspecs
from nnreg.testing.suite import KINDS

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/plugins.md").read_text()
BLOCKS = [
    (*info.partition(" ")[::2], code)
    for info, code in re.findall(r"```(\w[^\n]*)\n(.*?)```", GUIDE, re.S)
]
"""The language of each block, what stands after it, and the code.

That is the file to write the code to, or of a shell: `fails`, `online`, `by hand`; of Python:
`signatures`.
"""


def run(command, folder, status=0):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == status, (command, done.stdout, done.stderr)
    return " ".join((done.stderr + done.stdout).split())


def require_shown(text, output):
    """Require each line of a text block in a command's output, `…` standing for anything."""
    for line in text.splitlines():
        pattern = ".*".join(map(re.escape, " ".join(line.split()).split("…")))
        assert re.search(pattern, output), (line, output)


def follow(folder, *, online):
    """Do what the guide says."""
    output = ""
    for language, note, code in BLOCKS:
        if language == "text":
            require_shown(code, output)
        elif language == "sh" and (note != "online" or online) and note != "by hand":
            output = run(["bash", "-ec", code], folder, status=int(note == "fails"))
        elif language == "python" and not note:
            run([sys.executable, "-c", code], folder)
        elif language == "toml":
            made = tomllib.loads((folder / "nnreg-mish/pyproject.toml").read_text())
            assert made["project"]["entry-points"] == tomllib.loads(code)["project"]["entry-points"]
        elif note and language in ("python", "json", "yaml") and note != "signatures":
            (folder / note).parent.mkdir(parents=True, exist_ok=True)
            (folder / note).write_text(code)


def test_the_guide_does_what_it_says(tmp_path, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, command in (("nnreg", "-m nnreg"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NNREG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / "guide"
    folder.mkdir()
    follow(folder, online=False)


@pytest.mark.slow
def test_the_guide_does_what_it_says_with_what_pip_installs(tmp_path, monkeypatch):
    copy, wheels, folder = (tmp_path / name for name in ("copy", "wheels", "guide"))
    folder.mkdir()
    shutil.copytree(ROOT / "nnreg", copy / "nnreg", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    run([*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(copy)], tmp_path)
    run([sys.executable, "-m", "venv", "env"], tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/env/bin{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("NNREG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    run(["pip", "install", "--quiet", "nnreg", "hypothesis", "pytest"], tmp_path)
    follow(folder, online=True)


def test_every_hook_is_documented_with_its_exact_signature():
    shown = "".join(code for _, note, code in BLOCKS if note == "signatures").splitlines()
    hooks = [f for name, f in vars(hookspecs).items() if name.startswith("nnreg_")]
    expected = {f"def {f.__name__}{_signature(f)}: ..." for f in hooks}
    assert set(shown) == expected
    assert len(shown) == len(expected)


def _signature(function):
    """Write a signature as its source does: annotations are text there."""
    return str(inspect.signature(function)).replace("'", "")


def test_every_check_is_named_in_the_row_of_its_kind():
    for kind, module in KINDS.items():
        (row,) = re.findall(rf"^\| {kind} \|.*$", GUIDE, re.M)
        names = {check.__name__.replace("_", " ") for check in module.CHECKS}
        assert set(re.findall(r"`(.*?)`", row)) - {"examples"} == names


def test_what_the_guide_runs_by_machine_it_has_shown_by_hand():
    shown = [code for language, _, code in BLOCKS if language == "sh"]
    (workflow,) = (code for language, _, code in BLOCKS if language == "yaml")
    for command in re.findall(r"- run: (.*)", workflow):
        assert any(command in code.splitlines() for code in shown), command


def test_every_link_of_the_guide_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", GUIDE):
        assert target.startswith("https://") or (ROOT / "docs" / target).exists(), target
