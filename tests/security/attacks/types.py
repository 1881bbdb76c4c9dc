"""Arrays of types that the format does not allow."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from tests.security.harness import altered, attack


def of_type(name: str, dtype: Any, values: Any) -> None:
    """Register an attack with an array of this type."""

    def make(path):
        altered(path, lambda file: file.create_dataset("x", data=np.array(values, dtype)))

    make.__name__ = f"an_array_of_{name}"
    attack("'x', byte .*: its values are ")(make)


of_type("text", h5py.string_dtype(), ["a", "b"])
of_type("fixed_text", "S4", ["a", "b"])
of_type("big_endian_numbers", ">f4", [1, 2])
of_type("half_precision", "<f2", [1, 2])
of_type("complex_numbers", "<c8", [1, 2])
of_type("long_doubles", np.longdouble, [1, 2])
of_type("booleans", bool, [True, False])
of_type("records", [("a", "<f4"), ("b", "<f4")], [(1, 2)])
of_type("enumerations", h5py.enum_dtype({"A": 1}, "<i8"), [1])
of_type("subarrays", [("a", "<f4", (2, 2))], [(0,)])
of_type("blobs", "V8", [b"12345678"])


@attack("'x', byte .*: its values are values of variable length")
def an_array_of_variable_length(path):
    def change(file):
        rows = file.create_dataset("x", (2,), dtype=h5py.vlen_dtype("<f4"))
        rows[0] = np.zeros(3)

    altered(path, change)


@attack("'x', byte .*: its values are references")
def an_array_of_references(path):
    altered(
        path, lambda file: file.create_dataset("x", data=file["document"].ref, dtype=h5py.ref_dtype)
    )


@attack("'x', byte .*: it has no shape")
def an_array_without_a_shape(path):
    altered(path, lambda file: file.create_dataset("x", data=h5py.Empty("<f4")))
