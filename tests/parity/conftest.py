"""Fixtures of comparisons with PyTorch."""

import pytest


@pytest.fixture
def torch(peer):
    return peer("torch")
