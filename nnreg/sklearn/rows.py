"""Rows of scikit-learn's callers as nnreg takes them: an array, or columns by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _num_samples, check_X_y, validate_data

from nnreg.tables.categorical import Categorical
from nnreg.tables.convert import ARRAY, table_of
from nnreg.tables.dataframes import columns_of_frame, is_frame
from nnreg.tables.table import Table

NO_TARGET = "no_validation"
"""What stands for a target in scikit-learn's validation where there is none."""


def validated(
    estimator: Any, x: Any, y: Any = NO_TARGET, *, reset: bool, allow_nan: bool, **of_target: Any
) -> tuple[Any, Any]:
    """Return validated rows, and the validated target; `of_target` says what it may be.

    A data frame with texts, categories or dates becomes a table, whose columns nnreg encodes.
    """
    if _has_other_columns(x):
        validate_data(estimator, x, y, reset=reset, skip_check_array=True)
        if y is not NO_TARGET:
            _, y = check_X_y(np.zeros((_num_samples(x), 1)), y, estimator=estimator, **of_target)
        return table_of(x), y
    finite: Any = "allow-nan" if allow_nan else True
    options = {"accept_sparse": "csr", "ensure_all_finite": finite, "reset": reset}
    found = validate_data(estimator, x, y, **options, **of_target)
    x, y = (found, y) if y is NO_TARGET else found
    if x.dtype.kind == "b":  # truth values would be categories
        x = x.astype(np.float64)
    return x, y


def column_names(estimator: Any, x: Any, *, allow_nan: bool) -> list[str] | None:
    """Return the names of the columns of validated rows; None if they are one array, `x`.

    Missing values are imputed by columns, so that an array which may have some has columns too.
    """
    if not isinstance(x, np.ndarray):
        return None
    names = getattr(estimator, "feature_names_in_", None)
    if names is None and allow_nan:
        return [f"{ARRAY}{index}" for index in range(x.shape[1])]
    return None if names is None else [str(name) for name in names]


def rows_of(x: Any, names: list[str] | None) -> Any:
    """Return validated rows as a model with these columns takes them."""
    if isinstance(x, Table):
        return x
    if names is None:
        return {ARRAY: x}
    values = x if isinstance(x, np.ndarray) else x.toarray()
    return {name: values[:, index] for index, name in enumerate(names)}


def target_name(y: Any, rows: Any) -> str:
    """Return the name of a target: that of a series, or `target`; no column of the rows has it."""
    name = getattr(y, "name", None)
    name = name if isinstance(name, str) and name.strip() else "target"
    columns = table_of(rows).columns
    while name in columns:
        name += "_"
    return name


def _has_other_columns(x: Any) -> bool:
    """Return True for a data frame in which a column is neither numbers nor truth values."""
    if not is_frame(x) or hasattr(x, "sparse"):
        return False
    columns = columns_of_frame(x).values()
    return any(isinstance(one, Categorical) or one.dtype.kind not in "biuf" for one in columns)
