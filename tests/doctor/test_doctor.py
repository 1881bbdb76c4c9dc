"""`nnreg doctor`: its findings, and that its self-test detects faults."""

import json

import numpy as np
import pytest

from nnreg.builtin.activations import Tanh
from nnreg.doctor import selftest
from nnreg.doctor.environment import examine
from nnreg.interfaces import Layer
from nnreg.registry.registry import installed
from tests.helpers.work import calls


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def found(findings):
    return {finding.subject: finding for finding in findings}


def test_the_installation_is_checked_with_little_work(nnreg, tmp_path):
    code, out, err = nnreg("doctor")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].startswith("OK")
    assert not list(tmp_path.iterdir())
    assert calls(nnreg, "doctor") < 2_000_000


def test_json_has_each_finding(nnreg):
    code, out, _ = nnreg("doctor", "--json")
    report = json.loads(out)
    assert (code, report["healthy"]) == (0, True)
    subjects = {finding["subject"]: finding for finding in report["findings"]}
    assert subjects["NumPy"] == {
        "subject": "NumPy", "state": "ok", "found": np.__version__, "fix": ""
    }  # fmt: skip
    assert subjects.keys() >= {
        "nnreg", "Python", "BLAS", "h5py", "required", "plugins", "memory", "runs",
        "training", "gradients", "checkpoint", "resuming", "predicting",
    }  # fmt: skip


def test_a_failed_plugin_is_reported_with_a_fix(nnreg, install):
    install("nnreg-bad", "raise RuntimeError('no')", plugin="bad")
    code, out, _ = nnreg("doctor", "--json")
    report = json.loads(out)
    assert (code, report["healthy"]) == (1, False)
    (bad,) = [finding for finding in report["findings"] if finding["subject"] == "plugin bad"]
    assert (bad["state"], "RuntimeError: no" in bad["found"]) == ("failed", True)
    assert bad["fix"]
    assert nnreg("doctor")[1].splitlines()[-1].endswith(" failed: plugin bad")


def test_missing_requirements_are_reported_with_the_install_command(monkeypatch, tmp_path):
    metadata = {
        "Requires-Dist": ["numpy>=2.0", "nowhere>=1; extra == 'plot'", "gone; extra == 'test'"],
        "Provides-Extra": ["plot", "test"],
    }
    monkeypatch.setattr("importlib.metadata.metadata", lambda _: Metadata(metadata))
    findings = found(examine(installed(), tmp_path))
    plot = findings["extra plot"]
    assert (plot.state, plot.fix) == ("note", "pip install 'nnreg[plot]'")
    assert plot.found == "nowhere>=1 (not installed)"
    assert findings["required"].found == f"numpy {np.__version__}"
    assert "extra test" not in findings
    metadata["Requires-Dist"].append("numpy<1")
    required = found(examine(installed(), tmp_path))["required"]
    assert (required.state, required.found) == (
        "failed",
        f"numpy<1 ({np.__version__} is installed)",
    )


class Metadata:
    def __init__(self, values):
        self.get_all = values.get


def test_a_directory_that_cannot_be_written_is_reported(monkeypatch, tmp_path):
    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    runs = found(examine(installed(), tmp_path / "runs"))["runs"]
    assert (runs.state, "No space left" in runs.found) == ("failed", True)
    assert "--out" in runs.fix


def wrong_gradient(self, x):
    return np.tanh(x), lambda dy: dy * 0.9


@pytest.mark.parametrize(
    ("target", "name", "broken", "subject"),
    [
        (Tanh, "forward_inplace", lambda self, x, _: wrong_gradient(self, x), "gradients"),
        (selftest, "load", lambda _: Other(), "checkpoint"),
        (selftest, "prepare_resume", lambda *_, **__: Other(), "resuming"),
        (Layer, "check_input", lambda *_: 1 / 0, "training"),
        (selftest, "_points", lambda: [{"x": 2.0, "y": 0.0}] * 3, "predicting"),
    ],
)
def test_the_self_test_detects_a_fault(monkeypatch, target, name, broken, subject):
    monkeypatch.setattr(target, name, broken)
    findings = found(selftest.self_test(installed()))
    assert findings[subject].state == "failed"
    assert findings[subject].fix


class Other:
    def predict(self, rows):
        return np.ones((len(rows), 3))

    def train(self):
        pass


def test_plugins_receive_no_events_of_the_self_test(nnreg, install, tmp_path):
    code = (
        "from pathlib import Path\nfrom nnreg import hookimpl\n"
        "@hookimpl\ndef nnreg_run_started(run):\n    Path('received').touch()\n"
    )
    install("nnreg-listener", code, plugin="listener")
    assert nnreg("doctor")[0] == 0
    assert not (tmp_path / "received").exists()
