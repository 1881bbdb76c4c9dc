"""Fixtures of comparisons with PyTorch and scikit-learn."""

import os
from unittest import mock

import pytest


@pytest.fixture
def torch(peer):
    return peer("torch")


@pytest.fixture
def sklearn(peer):
    with mock.patch.dict(os.environ):  # importing it sets variables
        peer("sklearn")
        return peer("sklearn.metrics")
