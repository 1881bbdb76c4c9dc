"""A run with components of a plugin."""

import pytest

import nnreg
from nnreg.spec.document import read_spec
from tests.checkpoint.plugin_of_every_kind import SPEC, registry
from tests.helpers.copies import enter_copy, new_directory
from tests.helpers.specs import CSV


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train with version 1.0."""
    with new_directory(tmp_path_factory) as directory:
        (directory / "data.csv").write_text(CSV)
        nnreg.run(read_spec(SPEC, registry=registry()), out="run")
    return directory


@pytest.fixture
def saved(trained, monkeypatch):
    """Return the run directory."""
    enter_copy(trained, monkeypatch)
    return trained / "run"
