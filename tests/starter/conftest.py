"""Tables to propose a spec for."""

import csv

import pytest

from tests.starter.proposals import tried


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Write a CSV file of named columns; return the spec proposed for it, after running it."""
    monkeypatch.chdir(tmp_path)

    def proposed(columns, target=None, name="data.csv", delimiter=","):
        with open(name, "w", newline="") as file:
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return tried(name, target)

    return proposed
