"""What is compared: each method trains on some rows and predicts the target of others."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from benchmarks.real_tables.reading import Split
from benchmarks.real_tables.tables import RealTable

DATE = r"\d{4}[-/]\d{2}[-/]\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?Z?)?"
MAX_NATIVE_CATEGORIES = 250
"""Gradient boosting bins numbers and categories into 255 at most."""

TIMEOUT = 3600

Method = Callable[[RealTable, Split], np.ndarray]


def nnreg(table: RealTable, rows: Split) -> np.ndarray:
    """Return the predictions of `nnreg init`, `run` and `predict` on CSV files, as they stand."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        rows.train.to_csv(directory / "train.csv", index=False)
        rows.test.drop(columns=table.target).to_csv(directory / "new.csv", index=False)
        for command in (
            ("init", "train.csv", "--target", table.target, "--out", "spec.json"),
            ("run", "spec.json", "--out", "run", "--quiet", "--no-report"),
            ("predict", "run", "new.csv", "--out", "predictions.csv"),
        ):
            _call(directory, *command)
        predictions = pd.read_csv(directory / "predictions.csv", keep_default_na=False)
    return predictions["prediction"].to_numpy()


def mlp(table: RealTable, rows: Split) -> np.ndarray:
    """Return the predictions of scikit-learn's network, early stopping on."""
    if table.kind == "classification":
        return _fit(table, rows, MLPClassifier(early_stopping=True, random_state=0), _encoded)
    network = MLPRegressor(early_stopping=True, random_state=0)
    scaled = TransformedTargetRegressor(network, transformer=StandardScaler())
    return _fit(table, rows, scaled, _encoded)


def boosting(table: RealTable, rows: Split) -> np.ndarray:
    """Return the predictions of gradient boosting with native categories and missing values."""
    numbers, categories = _columns(_inputs(table, rows.train))
    options: dict[str, Any] = {
        "random_state": 0,
        "categorical_features": [False] * len(numbers) + [True] * len(categories),
    }
    if table.kind == "classification":
        return _fit(table, rows, HistGradientBoostingClassifier(**options), _numbered)
    return _fit(table, rows, HistGradientBoostingRegressor(**options), _numbered)


def linear(table: RealTable, rows: Split) -> np.ndarray:
    """Return the predictions of logistic or ridge regression."""
    if table.kind == "classification":
        return _fit(table, rows, LogisticRegression(max_iter=1000), _encoded)
    return _fit(table, rows, RidgeCV(np.logspace(-3, 3, 13)), _encoded)


METHODS: dict[str, Method] = {
    "nnreg": nnreg, "MLP": mlp, "boosting": boosting, "linear": linear
}  # fmt: skip


def score(table: RealTable, rows: Split, predictions: np.ndarray) -> float:
    """Return the accuracy, or R2."""
    expected = rows.test[table.target]
    if table.kind == "classification":
        return float(np.mean(_as_text(expected) == _as_text(pd.Series(predictions))))
    values = expected.to_numpy(float)
    errors = values - np.asarray(predictions, float)
    return float(1 - np.sum(errors**2) / np.sum((values - values.mean()) ** 2))


def _call(directory: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "nnreg", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=TIMEOUT)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"nnreg {arguments[0]}: {last}")


def _fit(
    table: RealTable,
    rows: Split,
    model: Any,
    encoder: Callable[[list[str], list[str]], ColumnTransformer],
) -> np.ndarray:
    inputs = _inputs(table, rows.train)
    target = rows.train[table.target]
    target = _as_text(target) if table.kind == "classification" else target.to_numpy(float)
    pipeline = make_pipeline(encoder(*_columns(inputs)), model).fit(inputs, target)
    new = _inputs(table, rows.test).reindex(columns=inputs.columns)
    return pipeline.predict(new.astype(inputs.dtypes.to_dict()))


def _inputs(table: RealTable, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the inputs as floats and texts; a date becomes its parts."""
    columns: dict[str, Any] = {}
    for name in rows.columns.drop(table.target):
        values = rows[name]
        if pd.api.types.is_numeric_dtype(values):
            columns[name] = values.astype(float)
        elif values.dropna().astype(str).str.fullmatch(DATE).all() and values.notna().any():
            times = pd.to_datetime(values, format="mixed", utc=True).dt
            for part in ("year", "month", "day", "weekday", "hour"):
                columns[f"{name} {part}"] = getattr(times, part).astype(float)
        else:
            columns[name] = values.astype(str).where(values.notna(), "missing").astype(object)
    return pd.DataFrame(columns)


def _columns(inputs: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the names of the numbers that are not all missing, and of the categories."""
    numbers = [
        name for name in inputs if inputs[name].dtype == float and inputs[name].notna().any()
    ]
    return numbers, [name for name in inputs if inputs[name].dtype != float]


def _encoded(numbers: list[str], categories: list[str]) -> ColumnTransformer:
    """Return the usual encoder: imputed, standardized numbers and one-hot categories."""
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5)
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    return ColumnTransformer([("numbers", scaled, numbers), ("categories", one_hot, categories)])


def _numbered(numbers: list[str], categories: list[str]) -> ColumnTransformer:
    """Return an encoder that leaves numbers as they are, and numbers categories."""
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan,
        max_categories=MAX_NATIVE_CATEGORIES,
    )  # fmt: skip
    return ColumnTransformer(
        [("numbers", "passthrough", numbers), ("categories", codes, categories)]
    )


def _as_text(values: pd.Series) -> np.ndarray:
    """Return classes as text; 1.0 and 1 are one class."""
    return values.map(
        lambda value: f"{value:.0f}" if isinstance(value, int | float | np.number) else str(value)
    ).to_numpy(str)
