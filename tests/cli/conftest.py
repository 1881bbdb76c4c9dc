"""A spec with an activation of a plugin, for tests without a `spec` of their own."""

import json

import pytest

from tests.helpers.specs import CSV, WITH_SWISH, classifier, csv_data


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Write a spec with swish, which no plugin provides yet."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    (tmp_path / "rows.csv").write_text("island,length,depth\nnorth,1.0,5.2\n")
    (tmp_path / "plain.json").write_text(json.dumps(classifier(data=csv_data())))
    (tmp_path / "spec.json").write_text(json.dumps(WITH_SWISH))
    return "spec.json"
