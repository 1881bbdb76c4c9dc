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


@pytest.fixture
def from_zip(tmp_path, monkeypatch):
    """Run a command of a copy of the package in a zip file; return its standard output."""
    monkeypatch.chdir(tmp_path)
    archive = shutil.make_archive("archive", "zip", PACKAGE.parent, PACKAGE.name)
    environment = {**os.environ, "PYTHONPATH": archive, "NNREG_PLUGINS": ""}
    where = [sys.executable, "-c", "import nnreg; print(nnreg.__file__)"]
    found = subprocess.run(where, env=environment, check=True, capture_output=True, text=True)
    assert found.stdout.startswith(archive)

    def run(*args):
        command = [sys.executable, "-m", "nnreg", *args]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_every_command_that_reads_package_data_works_from_a_zip_file(from_zip):
    Path("data.csv").write_text(CSV + CSV.split("\n", 1)[1] * 5)
    from_zip("init", "data.csv", "--target", "species")
    from_zip("run", "data.json", "--set", "train.epochs=2", "--out", "out")
    assert "</html>" in Path("out/report.html").read_text()
    Path("out/report.html").unlink()
    from_zip("report", "out")
    assert Path("out/report.html").exists()
    assert from_zip("predict", "out", "data.csv").startswith("prediction,")
    assert json.loads(from_zip("schema"))["$defs"]
    from_zip("plugin", "new", "nnreg-new", "--activation", "new_one")
    assert Path("nnreg-new/LICENSE").exists()
    assert "elu" in from_zip("show", "elu")
    from_zip("inspect", "--verify", "out")
    from_zip("plugins")
    from_zip("doctor")
