"""Fixtures of comparisons with PyTorch, Keras and scikit-learn."""

import os
from unittest import mock

import pytest


@pytest.fixture
def torch(peer):
    return peer("torch")


@pytest.fixture
def keras(peer, torch, tmp_path):
    """Return Keras, computing with PyTorch: TensorFlow cannot share a process with that."""
    variables = {"KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path)}
    with mock.patch.dict(os.environ, variables):
        return peer("keras")


@pytest.fixture
def sklearn(peer):
    with mock.patch.dict(os.environ):  # importing it sets variables
        peer("sklearn")
        return peer("sklearn.metrics")
