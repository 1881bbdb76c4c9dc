"""Sparse matrices are columns of arrays, from a file and from Python."""

import json

import numpy as np
import pytest

import nnreg
from nnreg.builtin.sources.arrays import Npz
from nnreg.data.loading import read_table
from nnreg.errors import DataError
from nnreg.tables.convert import table_of
from nnreg.tables.lazy import LazyArray, materialize
from tests.helpers.specs import regressor

DENSE = np.array([[0, 1.5, 0], [0, 0, 0], [2, 0, -1], [0, 0, 4]])
CSR = {
    "data": np.array([1.5, 2, -1, 4]), "indices": np.array([1, 0, 2, 2]),
    "indptr": np.array([0, 1, 1, 3, 4]), "shape": np.array([4, 3]), "format": np.array(b"csr"),
}  # fmt: skip


class Matrix:
    """A sparse matrix as those of scipy are, by its attributes."""

    nnz = 4

    def tocsr(self):
        self.__dict__.update({**CSR, "shape": (4, 3), "format": "csr"})
        return self


def saved(path, **changes):
    np.savez(path, **{**CSR, **changes})
    return path


def test_a_file_of_scipy_is_a_column_beside_others(tmp_path):
    table = read_table(Npz(), saved(tmp_path / "d.npz", y=np.arange(4), _is_array=np.array(True)))
    assert list(table.columns) == ["x", "y"]
    np.testing.assert_array_equal(table.columns["x"], DENSE)
    twice = {"data": np.array([1.0, 0.5, 2, -1, 4]), "indices": np.array([1, 1, 0, 2, 2])}
    path = saved(tmp_path / "d.npz", **twice, indptr=np.array([0, 2, 2, 4, 5]))
    np.testing.assert_array_equal(read_table(Npz(), path).columns["x"], DENSE)


@pytest.mark.verify
def test_scipy_writes_what_is_read(tmp_path, peer):
    peer("scipy")
    sparse = peer("scipy.sparse")
    for matrix in (sparse.csr_matrix(DENSE), sparse.csr_array(DENSE.astype(np.float32))):
        sparse.save_npz(tmp_path / "d.npz", matrix)
        table = read_table(Npz(), tmp_path / "d.npz")
        np.testing.assert_array_equal(table.columns["x"], DENSE)
        assert table.columns["x"].dtype == matrix.dtype
    np.testing.assert_array_equal(table_of(sparse.coo_array(DENSE)).columns["x"], DENSE)
    sparse.save_npz(tmp_path / "d.npz", sparse.coo_matrix(DENSE))
    with pytest.raises(DataError, match=r"in the form 'coo'; save matrix\.tocsr"):
        read_table(Npz(), tmp_path / "d.npz")


def test_a_matrix_larger_than_memory_stays_sparse(monkeypatch):
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 480)
    monkeypatch.setattr("nnreg.tables.lazy.WINDOW", 3)
    monkeypatch.setattr("nnreg.tables.lazy.BLOCK", 3)
    monkeypatch.setattr("nnreg.tables.lazy.MIN_BLOCKS", 1)
    column = table_of({"x": Matrix()}).columns["x"]
    assert isinstance(column, np.ndarray)
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 470)
    column = table_of({"x": Matrix()}).columns["x"]
    assert isinstance(column, LazyArray)
    np.testing.assert_array_equal(materialize(column), DENSE)
    np.testing.assert_array_equal(column.take(np.array([0, 3])), DENSE[[0, 3]])
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 50)
    with pytest.raises(DataError, match=r"some rows at a time: .* use fewer columns"):
        table_of({"x": Matrix()})


@pytest.mark.parametrize(
    "changes",
    [
        {"indices": np.array([1, 0, 3, 2])},
        {"indices": np.array([1, 0, -1, 2])},
        {"indptr": np.array([0, 1, 1, 3, 5])},
        {"indptr": np.array([0, 3, 1, 3, 4])},
        {"indptr": np.array([0, 1, 1, 4])},
        {"shape": np.array([4, 3, 2])},
        {"shape": np.array([-4, 3])},
        {"data": np.array(["a", "b", "c", "d"])},
        {"data": np.arange(3.0)},
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(tmp_path, changes):
    with pytest.raises(DataError, match=r"d\.npz: .*do not fit together"):
        read_table(Npz(), saved(tmp_path / "d.npz", **changes))


def test_an_array_x_beside_a_matrix_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"d\.npz: an array 'x' beside a sparse matrix; rename it"):
        read_table(Npz(), saved(tmp_path / "d.npz", x=np.arange(4)))


def test_a_run_trains_on_it_and_predicts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = np.arange(4.0)
    data = {"source": "npz", "path": "d.npz", "target": "y"}
    saved(tmp_path / "d.npz", y=target)
    (tmp_path / "spec.json").write_text(json.dumps(regressor(data=data)))
    of_file = nnreg.run("spec.json")
    of_python = nnreg.run(regressor(), data=(Matrix(), target))
    np.testing.assert_array_equal(of_file.predict(Matrix()), of_file.predict({"x": DENSE}))
    np.testing.assert_array_equal(of_python.predict(Matrix()), of_python.predict(DENSE))
