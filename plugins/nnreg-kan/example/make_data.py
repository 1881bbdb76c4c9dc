"""Write the example's data: exp(sin(π x) + y²) at points of the square from -1 to 1.

The function is one of those in Liu et al. 2024.
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
