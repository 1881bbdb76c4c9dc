"""Make the data files beside the specs again, from the packages that carry the original data.

Run it with `pip install scikit-learn palmerpenguins`, then `python models/make_data.py`. Nothing
else needs it: the files are in the repository. README.md has their sources and licences.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes, load_digits, load_iris

FOLDER = Path(__file__).parent


def write_csv(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table beside this script."""
    with (FOLDER / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def penguins() -> None:
    """344 penguins; a missing value is written NA."""
    original = files("palmerpenguins") / "data" / "penguins.csv"
    (FOLDER / "penguins.csv").write_text(original.read_text(encoding="utf-8"), encoding="utf-8")


def digits() -> None:
    """1,797 images of 8 x 8 grey levels from 0 to 16, and the digit that each shows."""
    data = load_digits()
    images, labels = data.images.astype(np.uint8), data.target.astype(np.uint8)
    np.savez_compressed(FOLDER / "digits.npz", image=images, digit=labels)


def diabetes() -> None:
    """442 patients: ten measurements, and the progression of the disease a year later."""
    data = load_diabetes(scaled=False)
    rows = np.column_stack([data.data, data.target])
    text = [[f"{value:g}" for value in row] for row in rows]
    write_csv("diabetes.csv", [*data.feature_names, "progression"], text)


def iris() -> None:
    """150 flowers: four lengths in cm, and the species."""
    data = load_iris()
    header = [name.removesuffix(" (cm)").replace(" ", "_") for name in data.feature_names]
    species = data.target_names[data.target]
    rows = [[*row, name] for row, name in zip(data.data.tolist(), species, strict=True)]
    write_csv("iris.csv", [*header, "species"], rows)


def teaching() -> None:
    """The tables small enough to follow by hand."""
    write_csv("xor.csv", ["a", "b", "xor"], [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)])
    write_csv("single_neuron.csv", ["x", "target"], [(1.5, 0.25)])
    write_csv("two_layer.csv", ["x", "target"], [(1.0, 0.1)])


if __name__ == "__main__":
    penguins()
    digits()
    diabetes()
    iris()
    teaching()
