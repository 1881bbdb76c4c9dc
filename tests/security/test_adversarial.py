"""Adversarial files: each is refused with a clear error, quickly, and with little memory."""

import json
import re
import subprocess
import sys

import pytest

import nnreg
from nnreg.errors import MissingPluginError
from nnreg.registry.loading import Selection
from nnreg.registry.registry import discover
from tests.helpers.paths import ROOT
from tests.helpers.work import CPU_SECONDS, HANG_SECONDS
from tests.security.attacks import ATTACKS
from tests.security.harness import image, of_component, signed, victim

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Read every attack in one process with 100 MB of free memory; return the outcomes."""
    directory = tmp_path_factory.mktemp("adversarial")
    valid = directory / "valid.h5"
    valid.write_bytes(signed(image(*victim())))
    files = {name: directory / f"{name}.h5" for name in ATTACKS}
    for name, path in files.items():
        ATTACKS[name].make(path)
    command = [sys.executable, "-m", "tests.security.reader", "100", valid, *files.values()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, cwd=ROOT)
    first, *rest = [json.loads(line) for line in done.stdout.splitlines()]
    assert first["error"] is None, first
    assert done.stderr == ""
    return dict(zip(files, rest, strict=False))


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_is_refused_with_an_error_quickly_and_with_little_memory(outcomes, name):
    assert name in outcomes, "the process that read it crashed"
    outcome = outcomes[name]
    assert outcome["error"] in ("CheckpointError", "MissingPluginError"), outcome
    assert re.search(ATTACKS[name].message, outcome["message"]), outcome["message"]
    assert outcome["cpu_seconds"] < CPU_SECONDS


def test_a_symbolic_link_to_a_valid_file_is_read(tmp_path):
    (tmp_path / "valid.h5").write_bytes(signed(image(*victim())))
    (tmp_path / "link.h5").symlink_to("valid.h5")
    assert nnreg.load(tmp_path / "link.h5").classes == ("ash", "birch")


def test_a_file_that_names_a_blocked_plugin_is_refused_without_importing_the_plugin(
    tmp_path, install
):
    install("nnreg-trap", "raise AssertionError('imported')", plugin="trap")
    of_component(tmp_path / "file.h5", name="trap", distribution="nnreg-trap", version="1.2")
    registry = discover(Selection(blocked=("trap",)))
    with pytest.raises(MissingPluginError, match=r"nnreg-trap 1\.2, which is blocked: by -p"):
        nnreg.load(tmp_path / "file.h5", registry=registry)
    assert "nnreg_trap" not in sys.modules
