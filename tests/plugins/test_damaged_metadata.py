"""Damaged metadata of one distribution: what is left of an installation that was interrupted."""

import json
import os
import subprocess
import sys

import pytest

from tests.helpers.fake_distributions import swish

SECTION = b"[nnreg]\nhalf = half_removed\n"
DAMAGE = {
    "no metadata": {"entry_points.txt": SECTION},
    "empty metadata": {"entry_points.txt": SECTION, "METADATA": b""},
    "no version": {"entry_points.txt": SECTION, "METADATA": b"Name: half-removed\n"},
    "no name": {"entry_points.txt": SECTION, "METADATA": b"Version: 1.0\n"},
    "metadata of bytes": {"entry_points.txt": SECTION, "METADATA": b"Name: \xff\xfe\n"},
    "entry points of bytes": {"entry_points.txt": b"[nnreg]\n\xff\xfe\n", "METADATA": b""},
    "entry points of bytes, in another group": {"entry_points.txt": b"[x]\n\xff\n"},
    "entry points without a value": {"entry_points.txt": b"[nnreg]\nhalf =\n", "METADATA": b""},
    "lines before a section": {"entry_points.txt": b"half = half_removed\n[nnreg]\na = b\n"},
}
HARMLESS = {
    "nothing": {},
    "another group": {"entry_points.txt": b"[console_scripts]\nhalf = half:main\n"},
    "metadata of bytes without entry points": {"METADATA": b"Name: \xff\n"},
}


@pytest.fixture
def damage(install, tmp_path):
    """Leave files in a `dist-info` of the path that `install` uses."""
    install("nnreg-good", swish("good"), plugin="good")

    def leave(files, name="half_removed-1.0"):
        directory = tmp_path / "site" / f"{name}.dist-info"
        directory.mkdir()
        for file, content in files.items():
            (directory / file).write_bytes(content)

    return leave


@pytest.mark.parametrize("files", DAMAGE.values(), ids=DAMAGE)
def test_damaged_metadata_is_named_and_all_else_goes_on(nnreg, damage, files):
    damage(files)
    code, out, _ = nnreg("plugins", "--json")
    assert code == 0
    states = {row["plugin"]: row["state"] for row in json.loads(out)}
    assert states["good"] == states["nnreg"] == "loaded"
    (damaged,) = [row for row in json.loads(out) if "half_removed" in row["distribution"]
                  or "half-removed" in row["distribution"] or row["plugin"] == "half"]  # fmt: skip
    assert damaged["state"] == "failed"
    assert "half_removed-1.0.dist-info: the installation is damaged" in nnreg("plugins")[1]
    assert nnreg("show", "good")[0] == 0
    out = json.loads(nnreg("doctor", "--json")[1])
    assert any("half_removed-1.0" in finding["found"] for finding in out["findings"])


@pytest.mark.parametrize("content", [b"\xff", b"[pydantic]\nx = nothing_of_this_name\n"])
def test_libraries_that_search_entry_points_too_do_not_stop_a_command(damage, tmp_path, content):
    damage({"entry_points.txt": content})
    (tmp_path / "data.csv").write_text("a,y\n" + "1,p\n2,q\n" * 10)
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nsys.path.append({str(tmp_path / 'site')!r})"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "nnreg", "init", "data.csv", "--out", "-"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("files", HARMLESS.values(), ids=HARMLESS)
def test_damage_that_hides_no_plugin_is_not_reported(nnreg, damage, files):
    damage(files)
    assert json.loads(nnreg("doctor", "--json")[1])["healthy"]


def test_what_is_left_of_a_required_version_counts_as_not_installed(nnreg, damage, tmp_path):
    damage({"METADATA": b""})
    (tmp_path / "spec.json").write_text(json.dumps({"requires": ["half-removed>=1"]}))
    code, _, err = nnreg("validate", tmp_path / "spec.json")
    assert code == 4
    assert "half-removed>=1 (not installed)" in err


def test_damaged_metadata_of_nnreg_itself_and_of_its_requirements_stops_no_run(
    nnreg, damage, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    damage({"METADATA": b""}, "nnreg-0.0")
    damage({"METADATA": b"Requires-Dist: numpy\n"}, "numpy-1.0")
    (tmp_path / "data.csv").write_text("a,y\n" + "1,p\n2,q\n" * 10)
    assert nnreg("init", "data.csv", "--target", "y")[0] == 0
    assert nnreg("run", "data.json", "--set", "train.epochs=1", "--no-report")[0] == 0
    assert nnreg("inspect", "runs/data-001")[0] == 0
    code, out, _ = nnreg("doctor")
    assert (code, "the metadata of nnreg is damaged" in out) == (1, True)


def test_the_first_of_two_distributions_of_one_name_counts(nnreg, install, tmp_path, monkeypatch):
    install("nnreg-good", swish("good"), plugin="good")
    other = tmp_path / "other" / "nnreg_good-0.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Name: nnreg-good\nVersion: 0.9\n")
    (other / "entry_points.txt").write_text("[nnreg]\ngood = nnreg_good\n")
    monkeypatch.syspath_prepend(tmp_path / "other")
    rows = [row for row in json.loads(nnreg("plugins", "--json")[1]) if row["plugin"] != "nnreg"]
    assert [row["version"] for row in rows if row["distribution"] == "nnreg-good"] == ["0.9"]
