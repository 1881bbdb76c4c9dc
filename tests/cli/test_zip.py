"""The command line from a zip file, as zipapp, shiv and pex install it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nnreg as package
from tests.helpers.specs import CSV

PACKAGE = Path(package.__file__).parent

PROGRAM = """
import contextlib, io, json, sys
import nnreg
from nnreg.cli.app import main
printed = [nnreg.__file__]
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main(command)
        except SystemExit as end:
            if end.code:
                raise
    printed.append(out.getvalue())
print(json.dumps(printed))
"""
"""Runs commands, and prints where the package is and what each command printed."""


@pytest.fixture
def from_zip(tmp_path, monkeypatch):
    """Run commands of a copy of the package in a zip file; return what each printed.

    They run in one process, since each process has to compile what it imports from the file.
    """
    monkeypatch.chdir(tmp_path)
    archive = shutil.make_archive("archive", "zip", PACKAGE.parent, PACKAGE.name)
    environment = {**os.environ, "PYTHONPATH": archive, "NNREG_PLUGINS": ""}

    def run(*commands):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(commands)],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        where, *printed = json.loads(done.stdout)
        assert where.startswith(archive)
        return printed

    return run


def test_every_command_that_reads_package_data_works_from_a_zip_file(from_zip):
    Path("data.csv").write_text(CSV + CSV.split("\n", 1)[1] * 5)
    *_, predictions, schema, shown = from_zip(
        ["init", "data.csv", "--target", "species"],
        ["run", "data.json", "--set", "train.epochs=2", "--out", "out"],
        ["run", "data.json", "--set", "train.epochs=2", "--out", "other", "--no-report"],
        ["report", "other"],
        ["plugin", "new", "nnreg-new", "--activation", "new_one"],
        ["inspect", "--verify", "out"],
        ["plugins"],
        ["doctor"],
        ["predict", "out", "data.csv"],
        ["schema"],
        ["show", "elu"],
    )
    for run in ("out", "other"):
        assert "</html>" in Path(run, "report.html").read_text()
    assert Path("nnreg-new/LICENSE").exists()
    assert predictions.startswith("prediction,")
    assert json.loads(schema)["$defs"]
    assert "elu" in shown
