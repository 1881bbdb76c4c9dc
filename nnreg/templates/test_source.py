"""The columns that my_component reads, and a run that uses them."""

import json
from pathlib import Path
from typing import Any

import nnreg
import pytest

from nnreg_my_plugin import MyComponent

LINES = b"""{"length": 1.5, "width": "2", "species": "red"}
{"length": null, "width": "3", "species": "blue"}
"""


def test_it_returns_text_and_none_for_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "flowers.jsonl"
    path.write_bytes(LINES)
    columns: dict[str, Any] = dict(MyComponent().read(path).columns)
    assert {name: column.tolist() for name, column in columns.items()} == {
        "length": ["1.5", None],
        "width": ["2", "3"],
        "species": ["red", "blue"],
    }
    assert len(MyComponent(limit=1).read(path)) == 1


def test_an_error_has_the_line_number(tmp_path: Path) -> None:
    path = tmp_path / "flowers.jsonl"
    path.write_bytes(LINES + b"{")
    with pytest.raises(nnreg.DataError, match="line 3: not JSON"):
        MyComponent().read(path)


def test_a_run_reads_its_data_with_it(tmp_path: Path) -> None:
    (tmp_path / "flowers.jsonl").write_bytes(20 * LINES)
    spec = {
        "data": {
            "source": "my_component",
            "path": "flowers.jsonl",
            "target": "species",
            "missing": "impute",
        },
        "model": {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]},
        "loss": "cross_entropy",
        "optimizer": {"type": "adam", "learning_rate": 0.1},
        "metrics": ["accuracy"],
        "train": {"epochs": 20},
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    assert nnreg.run(tmp_path / "spec.json").history["accuracy"][-1] == 1
