"""Fixtures of comparisons with PyTorch, Keras and scikit-learn."""

import importlib
import os
import sys
from pathlib import Path
from unittest import mock

import pytest

from tests.parity import page

HERE = Path(__file__).parent


@pytest.fixture
def torch(peer):
    """PyTorch on one thread: several wait for each other on a busy machine."""
    found = peer("torch")
    threads = found.get_num_threads()
    found.set_num_threads(1)
    yield found
    found.set_num_threads(threads)


@pytest.fixture
def keras(peer, torch, tmp_path, monkeypatch):
    """Yield Keras in float64, computing with PyTorch, with which TensorFlow shares no process."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # some functions of Keras would import it
    variables = {"KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path)}
    with mock.patch.dict(os.environ, variables):
        found = peer("keras")
    dtypes = importlib.import_module("keras.src.backend.common.dtypes")
    wide = {"float64": "float64"}  # Keras computes means and more in float32 but on TensorFlow
    before = found.config.floatx()
    found.config.set_floatx("float64")
    with mock.patch.dict(dtypes.BIT64_TO_BIT32_DTYPE, wide):
        yield found
    found.config.set_floatx(before)


@pytest.fixture
def sklearn(peer):
    with mock.patch.dict(os.environ):  # importing it sets variables
        peer("sklearn")
        return peer("sklearn.metrics")


@pytest.fixture(autouse=True)
def without_tensorflow():
    """Require that a test leaves TensorFlow out of this process, in which it crashes PyTorch."""
    yield
    assert sys.modules.get("tensorflow") is None, "import Keras by its fixture"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Check the page after all comparisons if this process runs all of them, else not at all."""
    comparing = {
        one for one in items if one.path.parent == HERE and one.get_closest_marker("verify")
    }
    files = {one.path for one in items}  # before options deselect some
    result = yield
    complete = comparing <= set(items) and files >= set(HERE.glob("test_*.py"))
    check = [one for one in items if one.nodeid == page.CHECK]
    items[:] = [one for one in items if one not in check]
    if complete and not hasattr(config, "workerinput"):  # of pytest-xdist, one of several
        items += check
    else:
        config.hook.pytest_deselected(items=check)
    return result
