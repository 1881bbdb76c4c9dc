"""Options of plugins work in every place where JSON has them, or are refused by name."""

import json
import math
from dataclasses import dataclass
from datetime import date
from enum import Enum, IntEnum
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg import Activation, SpecError, builtin, hookimpl
from nnreg.registry.registry import Registry
from nnreg.spec.document import read_spec
from nnreg.spec.json_schema import json_schema
from nnreg.spec.validation import to_json


class Mode(Enum):
    SOFT = "soft"
    HARD = "hard"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Gate(Activation):
    """y = x, by `mode`, `level`, `path` and `since`"""

    mode: Mode = Mode.SOFT
    level: Level = Level.LOW
    path: Path = Path("a/b")
    since: date = date(2020, 1, 31)

    def formula(self, x):
        return 1.0 * x


@dataclass(frozen=True)
class Unbounded(Activation):
    """y = x up to `limit`"""

    limit: float = math.inf

    def formula(self, x):
        return 1.0 * x


@dataclass(frozen=True)
class SinglePrecision(Unbounded):
    """y = x up to `limit`"""

    limit: float = np.float32(2)


def registry_with(**activations):
    class Plugin:
        @hookimpl
        def nnreg_activations(self):
            return activations

    registry = Registry()
    registry.add_plugin("nnreg", builtin, "nnreg", "0.1.0")
    registry.add_plugin("own", Plugin(), "nnreg-own", "1.0")
    return registry


def spec(activation):
    return {
        "model": {"layers": [{"type": "dense", "units": 1, "activation": activation}]},
        "loss": "mean_squared_error",
        "optimizer": "sgd",
        "train": {"epochs": 1},
    }


OPTIONS = {"mode": "hard", "level": 2, "path": "c", "since": "2021-12-01"}


@pytest.mark.parametrize("options", [{}, OPTIONS])
def test_options_that_are_enums_paths_or_dates_are_written_and_read_again(tmp_path, options):
    registry, x = registry_with(gate=Gate), np.ones((4, 2))
    document = read_spec(spec({"type": "gate", **options}), registry=registry)
    gate = document.spec.model.layers[0].activation
    written = to_json(gate, registry)
    assert written == {"type": "gate", "mode": "soft", "level": 1, "path": "a/b",
                       "since": "2020-01-31", **options}  # fmt: skip
    assert read_spec(spec(written), registry=registry).spec.model.layers[0].activation == gate
    nnreg.run(document, data=(x, x[:, 0]), out=tmp_path / "run")
    resolved = json.loads((tmp_path / "run" / "resolved.json").read_text())
    assert resolved["model"]["layers"][0]["activation"] == written


def test_the_schema_has_the_values_of_an_enum():
    schema = json_schema(registry_with(gate=Gate))
    bodies = schema["$defs"]["activation"]["anyOf"]
    (gate,) = [body for body in bodies if body.get("properties", {}).get("type", {}).get(
               "oneOf", [{}])[0] == {"const": "gate"}]  # fmt: skip
    assert gate["properties"]["mode"]["default"] == "soft"
    assert gate["properties"]["mode"]["anyOf"][0]["enum"] == ["soft", "hard"]
    assert '/$defs/Mode"' not in json.dumps(schema)


@pytest.mark.parametrize("cls", [Unbounded, SinglePrecision])
def test_a_value_that_json_cannot_represent_is_refused_by_name(cls):
    registry = registry_with(own=cls)
    with pytest.raises(SpecError, match=f"'limit' of {cls.__name__} is .*JSON cannot represent"):
        read_spec(spec("own"), registry=registry)
    read_spec(spec({"type": "own", "limit": 2}), registry=registry)
