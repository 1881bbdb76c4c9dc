"""Runs side by side in a program."""

import pytest

import nnreg
from tests.helpers.specs import blobs, classifier


def test_runs_are_compared_by_name(tmp_path):
    paths = [tmp_path / "one", tmp_path / "two"]
    for epochs, path in enumerate(paths, 1):
        nnreg.run(classifier(), overrides={"train.epochs": epochs}, data=blobs(), out=path)
    found = nnreg.compare(*map(str, paths))
    assert [side.run for side in found.sides] == ["one", "two"]
    assert [side.settings["train.epochs"] for side in found.sides] == [1, 2]
    assert set(found.best) == set(found.sides[0].metrics)


def test_another_path_is_an_error(tmp_path):
    with pytest.raises(nnreg.UsageError, match=r"not a run directory \(no metrics.jsonl\)"):
        nnreg.compare(tmp_path)
