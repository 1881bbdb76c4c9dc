"""A run with components of a plugin."""

import pytest

import nnreg
from nnreg.spec.document import read_spec
from tests.checkpoint.plugin_of_every_kind import SPEC, registry
from tests.helpers.specs import CSV


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Train with version 1.0, and return the run directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    nnreg.run(read_spec(SPEC, registry=registry()), out="run")
    return tmp_path / "run"
