"""Make the data files again from the packages they came from.

    pip install palmerpenguins scikit-learn && python models/make_data.py

The files are kept in the repository, so that nobody needs to.
"""

import csv
from importlib import resources
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def write_csv(name, header, rows):
    """Write one file with a header line."""
    with (HERE / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def penguins():
    """Copy the 344 rows of palmerpenguins as they are: words, numbers, and NA."""
    text = resources.files("palmerpenguins").joinpath("data/penguins.csv").read_text()
    header, *rows = csv.reader(text.splitlines())
    write_csv("penguins.csv", header, rows)


def sklearn_sets():
    """Write digits, diabetes and iris from the copies in scikit-learn."""
    from sklearn.datasets import load_diabetes, load_digits, load_iris

    digits = load_digits()
    np.savez_compressed(
        HERE / "digits.npz",
        image=digits.images.astype(np.uint8),
        digit=digits.target.astype(np.uint8),
    )
    diabetes = load_diabetes(scaled=False)
    rows = np.column_stack([diabetes.data, diabetes.target])
    write_csv(
        "diabetes.csv",
        [*diabetes.feature_names, "progression"],
        [[f"{value:g}" for value in row] for row in rows],
    )
    iris = load_iris()
    write_csv(
        "iris.csv",
        ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"],
        [
            [*(f"{value:g}" for value in row), iris.target_names[label]]
            for row, label in zip(iris.data, iris.target, strict=True)
        ],
    )


def small_sets():
    """Write the data that are nothing but a few numbers."""
    write_csv("xor.csv", ["a", "b", "xor"], [[a, b, a ^ b] for a in (0, 1) for b in (0, 1)])
    write_csv("single_neuron.csv", ["x", "target"], [[0.5, 0.1]])
    write_csv("two_layer.csv", ["x", "target"], [[0.5, 0.1]])


if __name__ == "__main__":
    penguins()
    sklearn_sets()
    small_sets()
