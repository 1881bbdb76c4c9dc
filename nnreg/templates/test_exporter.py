"""The file that my_component writes, and its answers."""

import json
from pathlib import Path
from typing import Any

import nnreg
import numpy as np
import pytest

from nnreg_my_plugin import outputs


def trained(activation: str) -> nnreg.Model:
    """Return a model of a number, where one is missing, and a text."""
    rows = {"size": [1.0, 2.0, None, 4.0] * 5, "colour": ["red", "blue"] * 10}
    spec: dict[str, Any] = {
        "data": {"source": "csv", "path": "unused.csv", "target": "price", "missing": "impute"},
        "model": {
            "layers": [
                {"type": "dense", "units": 4, "activation": activation},
                {"type": "dense", "units": 1},
            ]
        },
        "loss": "mean_squared_error",
        "optimizer": "adam",
        "train": {"epochs": 2},
    }
    return nnreg.run(spec, data=(rows, np.arange(20.0)))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_answers_of_the_file_are_those_of_the_model(activation: str, tmp_path: Path) -> None:
    model = trained(activation)
    found = nnreg.export(model, tmp_path / "model.json", "my_component")
    assert found.difference is not None
    assert found.difference < 1e-6
    rows: dict[str, list[Any]] = {"size": [3.0, float("nan")], "colour": ["blue", "red"]}
    tree = json.loads((tmp_path / "model.json").read_bytes())
    answers = outputs(tree, rows)["prediction"][:, 0]
    np.testing.assert_allclose(answers, model.predict(rows), 1e-6)


def test_a_row_that_the_model_does_not_take_has_no_answer(tmp_path: Path) -> None:
    nnreg.export(trained("relu"), tmp_path / "model.json", "my_component")
    tree = json.loads((tmp_path / "model.json").read_bytes())
    answers = outputs(tree, {"size": [1.0, 1.0], "colour": ["red", "green"]})["prediction"]
    assert np.isnan(answers).tolist() == [[False], [True]]


def test_an_operation_that_it_does_not_know_is_refused_with_its_layer(tmp_path: Path) -> None:
    with pytest.raises(nnreg.NnregError, match=r"layer 0 .*cannot be written"):
        nnreg.export(trained("softplus"), tmp_path / "model.json", "my_component")
    assert not (tmp_path / "model.json").exists()
