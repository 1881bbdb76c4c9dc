"""A cross-validation reads its data once and its spec once, however many folds it has."""

import gc
import hashlib
import json
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

import nnreg
from nnreg.builtin.sources.arrays import Hdf5
from nnreg.builtin.sources.delimited import Csv
from nnreg.interfaces import Table
from nnreg.runs.api import prepare
from nnreg.spec import validation as schema
from nnreg.spec.document import read_spec
from nnreg.spec.sections import Spec
from tests.helpers.specs import blobs, classifier, csv_data

FOLDS = {"epochs": 2, "folds": 5}


@pytest.fixture
def reads(monkeypatch):
    """Count the reads of data and spec files, and the validations of specs."""
    counts = Counter()

    def counted(owner, name, key):
        original = getattr(owner, name)

        def counting(*args, **kwargs):
            counts[key(*args)] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counting)

    counted(Csv, "iter_chunks", lambda self, path, text: path.name)
    counted(Hdf5, "iter_chunks", lambda self, path, text: path.name)
    counted(Path, "read_bytes", lambda self: self.name)
    counted(hashlib, "file_digest", lambda file, _: f"digest of {Path(file.name).name}")
    counted(schema, "read", lambda cls, *rest: cls)
    return counts


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Write a spec of five folds over a file of points, and a file for validation."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{','.join(map(str, row))},{name}" for row, name in zip(*blobs(), strict=True)]
    for name in ("data.csv", "other.csv"):
        (tmp_path / name).write_text("\n".join(["a,b,c,d,species", *rows]) + "\n")
    split = {"stratify": True, "validation": "other.csv"}
    content = classifier(data=csv_data(split=split), train=FOLDS)
    (tmp_path / "spec.json").write_text(json.dumps(content))
    return "spec.json"


def check_read_once(reads, *names):
    assert {name: reads[name] for name in names} == dict.fromkeys(names, 1)


def test_a_run_of_five_folds_reads_each_file_once(spec, reads):
    nnreg.run(spec, out="runs/x")
    check_read_once(reads, "data.csv", "other.csv", "spec.json", Spec, "digest of data.csv")


def test_the_command_reads_each_file_once(spec, reads, nnreg):
    assert nnreg("run", spec, "--quiet", "--no-report")[0] == 0
    check_read_once(reads, "data.csv", "other.csv", "spec.json", Spec, "digest of data.csv")


def test_a_single_run_reads_each_file_once(spec, reads):
    nnreg.run(spec, overrides=["train.folds=null"])
    check_read_once(reads, "data.csv", "other.csv", "spec.json", Spec, "digest of data.csv")


def test_validate_reads_each_file_once(spec, reads, nnreg):
    assert nnreg("validate", spec)[0] == 0
    check_read_once(reads, "data.csv", "other.csv", "spec.json", Spec)


def test_resuming_five_folds_reads_the_data_once(spec, reads):
    nnreg.run(spec, out="runs/x")
    for left in (5, 3):  # all are done, then the last two are missing
        if left < 5:
            for name in ("fold-4", "fold-5"):
                (Path("runs/x") / name / "checkpoints/last.h5").unlink()
        reads.clear()
        found = nnreg.resume("runs/x")
        assert len(found.models) == 5
        check_read_once(reads, "data.csv", "other.csv", "digest of data.csv")
        assert reads["spec.json"] == 0


def test_resuming_a_checkpoint_alone_reads_the_data_once(spec, reads, nnreg, tmp_path):
    nnreg("run", spec, "--quiet", "--no-report", "--set", "train.folds=null", "--out", "runs/x")
    (tmp_path / "only/alone").mkdir(parents=True)
    Path("runs/x/checkpoints/last.h5").rename("only/alone/last.h5")
    reads.clear()
    code, _, _ = nnreg("resume", "only/alone/last.h5", "--no-report", "--set", "train.epochs=3")
    assert code == 0
    check_read_once(reads, "data.csv")
    assert Path("runs/last-001/summary.json").exists()


def test_a_streamed_array_is_opened_once_for_all_folds(tmp_path, reads, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = blobs()
    with h5py.File("data.h5", "w") as file:
        file["x"], file["y"] = x, np.unique(y, return_inverse=True)[1]
    source = {"type": "hdf5", "stream": True}
    data = {"source": source, "path": "data.h5", "target": "y", "inputs": ["x"]}
    found = nnreg.run(classifier(data=data, train=FOLDS))
    assert len(found.models) == 5
    check_read_once(reads, "data.h5", "digest of data.h5")


def whole_tables():
    """Return the number of tables in memory with all rows of the file."""
    gc.collect()
    tables = [found for found in gc.get_objects() if isinstance(found, Table)]
    return sum(len(table) == 60 and table.origin.endswith("data.csv") for table in tables)


def test_the_folds_share_one_table_which_is_released_at_the_end(spec):
    before = whole_tables()  # of other tests, such as those of sweeps, which keep theirs
    prepared = prepare(read_spec(spec, ["data.split.validation=null"]))
    alive = []
    for run in prepared.runs():
        run.train()
        alive.append(whole_tables() - before)
    assert alive == [1] * 5
    assert whole_tables() == before
    assert len(prepared.train().models) == 5  # reads it again
    assert whole_tables() == before


@pytest.mark.parametrize("check", [True, False])
def test_the_components_of_each_fold_are_tested_once_or_not_at_all(spec, monkeypatch, check):
    tested = []
    monkeypatch.setattr(
        "nnreg.model.parts.check_components", lambda components, *rest: tested.append(components)
    )
    nnreg.run(spec, check=check)
    assert len(tested) == (5 if check else 0)
