"""Small blocks and windows, so that a small file has many."""

import pytest

import nnreg
import nnreg._utils.memory
import nnreg.tables.lazy
from tests.data.lazy.stored import write


@pytest.fixture(autouse=True)
def little_memory(monkeypatch):
    """Read 8 rows at once, and keep about 64 in memory."""
    monkeypatch.setattr(nnreg.tables.lazy, "BLOCK", 64)
    monkeypatch.setattr(nnreg.tables.lazy, "WINDOW", 512)


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("d.h5")
    return tmp_path
