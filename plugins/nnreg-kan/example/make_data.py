"""Write the data of the example: exp(sin(π x) + y²) at random points of [-1, 1]².

The function is from Liu et al. 2024.
"""

import csv
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    points = np.random.default_rng(0).uniform(-1, 1, (1000, 2)).round(4)
    values = np.exp(np.sin(np.pi * points[:, 0]) + points[:, 1] ** 2).round(5)
    with (Path(__file__).parent / "surface.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["x", "y", "z"])
        writer.writerows(np.column_stack([points, values]).tolist())
