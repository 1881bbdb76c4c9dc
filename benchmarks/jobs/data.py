"""The data of the jobs as arrays, prepared with NumPy alone, and their hyperparameters."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MODELS = Path(__file__).resolve().parents[2] / "models"
Examples = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Job:
    """One hidden layer of relu units; Adam; stop after `patience` epochs without improvement."""

    validation: float
    hidden: int
    dropout: float
    rate: float
    epochs: int
    batch: int
    patience: int
    test: float = 0.2


JOBS = {
    "penguins": Job(0.15, 32, 0.0, 0.005, 100, 16, 20),
    "digits": Job(0.1, 128, 0.2, 0.002, 80, 32, 15),
}


def from_command_line() -> tuple[Job, Examples, Examples, Examples]:
    """Return the job that the command line names, and its training, validation and test split."""
    name = sys.argv[1]
    job = JOBS[name]
    columns, labels = penguins() if name == "penguins" else digits()
    classes, y = np.unique(labels, return_inverse=True)
    train, validation, test = split(y, len(classes), job)
    x = np.concatenate([encode(column, train) for column in columns], axis=1).astype(np.float32)
    return job, (x[train], y[train]), (x[validation], y[validation]), (x[test], y[test])


def penguins() -> tuple[list[np.ndarray], np.ndarray]:
    """Return the numeric columns with NaN, the categorical ones with NA, and the species."""
    with (MODELS / "penguins.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = []
    for name in rows[0]:
        if name not in ("species", "year"):
            column = np.array([row[name] for row in rows])
            if name not in ("island", "sex"):
                column = np.where(column == "NA", "nan", column).astype(float)
            columns.append(column)
    return columns, np.array([row["species"] for row in rows])


def digits() -> tuple[list[np.ndarray], np.ndarray]:
    """Return the images as one column of 64 pixels, and the digits."""
    archive = np.load(MODELS / "digits.npz")
    images = archive["image"]
    return [images.reshape(len(images), -1)], archive["digit"]


def split(y: np.ndarray, classes: int, job: Job) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows of the training, validation and test split, stratified by class."""
    rng = np.random.default_rng(0)
    splits: tuple[list, list, list] = ([], [], [])
    for label in range(classes):
        rows = rng.permutation(np.flatnonzero(y == label))
        counts = [round(len(rows) * fraction) for fraction in (job.validation, job.test)]
        validation, test, train = np.split(rows, np.cumsum(counts))
        for rows_of_split, added in zip(splits, (train, validation, test), strict=True):
            rows_of_split.extend(added)
    return tuple(np.array(rows) for rows in splits)  # type: ignore[return-value]


def encode(column: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Standardize numbers and one-hot encode categories, fitted on the training rows."""
    if column.dtype.kind == "U":
        counts = Counter(category for category in column[train] if category != "NA")
        column = np.where(column == "NA", counts.most_common(1)[0][0], column)
        return column[:, None] == np.array(sorted(counts))
    known = column[train][~np.isnan(column[train])]
    column = np.where(np.isnan(column), known.mean(), column)
    return ((column - known.mean()) / known.std()).reshape(len(column), -1)


def report(accuracy: float, epochs: int) -> None:
    """Print the results as JSON."""
    print(json.dumps({"accuracy": float(accuracy), "epochs": int(epochs)}))
