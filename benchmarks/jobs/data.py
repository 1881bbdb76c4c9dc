"""The data of the jobs as arrays, with nothing but NumPy, and what the network is to be."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MODELS = Path(__file__).resolve().parents[2] / "models"
Part = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Job:
    """One hidden layer of relu units; Adam; stop after `patience` epochs without a better one."""

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


def from_command_line() -> tuple[Job, Part, Part, Part]:
    """Return the job that the command line names, and its rows to train, validate and test on."""
    name = sys.argv[1]
    job = JOBS[name]
    columns, labels = penguins() if name == "penguins" else digits()
    classes, y = np.unique(labels, return_inverse=True)
    train, validation, test = split(y, len(classes), job)
    x = np.concatenate([encode(column, train) for column in columns], axis=1).astype(np.float32)
    return job, (x[train], y[train]), (x[validation], y[validation]), (x[test], y[test])


def penguins() -> tuple[list[np.ndarray], np.ndarray]:
    """Return the columns of the table, numbers with NaN and words with NA, and the species."""
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
    """Return the rows to train, validate and test on, each class in proportion."""
    rng = np.random.default_rng(0)
    parts: tuple[list, list, list] = ([], [], [])
    for label in range(classes):
        rows = rng.permutation(np.flatnonzero(y == label))
        counts = [round(len(rows) * share) for share in (job.validation, job.test)]
        pieces = np.split(rows, np.cumsum(counts))
        for part, piece in zip(parts, (pieces[2], pieces[0], pieces[1]), strict=True):
            part.extend(piece)
    return tuple(np.array(part) for part in parts)  # type: ignore[return-value]


def encode(column: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Scale numbers and make words one-hot, by what the training rows hold."""
    if column.dtype.kind == "U":
        counts = Counter(word for word in column[train] if word != "NA")
        column = np.where(column == "NA", counts.most_common(1)[0][0], column)
        return column[:, None] == np.array(sorted(counts))
    known = column[train][~np.isnan(column[train])]
    column = np.where(np.isnan(column), known.mean(), column)
    return ((column - known.mean()) / known.std()).reshape(len(column), -1)


def report(accuracy: float, epochs: int) -> None:
    """Print what came of it."""
    print(json.dumps({"accuracy": float(accuracy), "epochs": int(epochs)}))
