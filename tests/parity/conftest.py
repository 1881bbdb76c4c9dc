"""Fixtures of comparisons with PyTorch, Keras and scikit-learn."""

import importlib
import os
from unittest import mock

import pytest


@pytest.fixture
def torch(peer):
    return peer("torch")


@pytest.fixture
def torch_on_one_thread(torch):
    """PyTorch for trainings: several threads wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


@pytest.fixture
def keras(peer, torch, tmp_path):
    """Yield Keras in float64, computing with PyTorch, with which TensorFlow shares no process."""
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
