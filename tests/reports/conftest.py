"""Specs of runs that have a report."""

import json

import numpy as np
import pytest

from tests.helpers.specs import blobs, classifier, regressor
from tests.reports.page import SPLIT, write_csv


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Return the path of a spec for 120 points of three classes, two of which overlap."""
    monkeypatch.chdir(tmp_path)
    x, y = blobs(120)
    places = np.random.default_rng(1).choice(["north", "south"], 120)
    rows = [[label, place, *row] for label, place, row in zip(y, places, x.round(3), strict=True)]
    write_csv(tmp_path / "data.csv", ["tree", "place", "a", "b", "c", "d"], rows)
    data = {"source": "csv", "path": "data.csv", "target": "tree", "split": SPLIT}
    (tmp_path / "spec.json").write_text(json.dumps(classifier(data=data, seed=3)))
    return tmp_path / "spec.json"


@pytest.fixture
def numbers(tmp_path, monkeypatch):
    """Return the path of a spec with a numeric target."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(60, 2)).round(3)
    y = x @ [2.0, -1.0] + 1 + np.random.default_rng(1).normal(size=60)
    write_csv(tmp_path / "data.csv", ["a", "b", "y"], np.column_stack([x, y.round(3)]).tolist())
    data = {"source": "csv", "path": "data.csv", "target": "y", "split": {"test": 0.3}}
    (tmp_path / "spec.json").write_text(json.dumps(regressor(data=data, metrics=["r2"])))
    return tmp_path / "spec.json"
