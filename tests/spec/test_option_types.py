"""Options of types that JSON does not have: written as they are read, or refused."""

import enum
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnreg
from nnreg import Activation, SpecError
from nnreg.errors import NnregWarning
from nnreg.registry.registry import installed
from nnreg.spec.json_schema import json_schema
from nnreg.spec.validation import to_json
from tests.helpers.specs import regressor


class Mode(enum.Enum):
    SOFT = "soft"
    HARD = "hard"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Gate(Activation):
    """y = x"""

    mode: Mode = Mode.SOFT
    level: Level = Level.LOW
    file: Path = Path("a") / "b"
    names: frozenset[str] = frozenset({"b", "a"})
    table: dict[Mode, float] = field(default_factory=lambda: {Mode.HARD: 1.0})

    def forward(self, x):
        return 1.0 * x, lambda dy: dy


@dataclass(frozen=True)
class Odd(Activation):
    """y = x"""

    scale: Any = np.float32(1.5)

    def forward(self, x):
        return 1.0 * x, lambda dy: dy


@pytest.fixture(autouse=True)
def registered():
    before = set(installed().plugins)
    nnreg.register("gate", Gate)
    nnreg.register("odd", Odd)
    yield
    for name in set(installed().plugins) - before:
        installed().remove(name)


def spec(activation):
    return regressor(model={"layers": [{"type": "dense", "units": 1, "activation": activation},
                                       {"type": "dense", "units": 1}]})  # fmt: skip


CHANGED = {"mode": "hard", "level": 2, "file": "c", "names": ["x", "y"], "table": {"soft": 2.0}}
DEFAULT = {"mode": "soft", "level": 1, "file": "a/b", "names": ["a", "b"], "table": {"hard": 1.0}}


@pytest.mark.parametrize("given", [{}, CHANGED])
def test_what_is_written_is_read_back_as_the_same_options(tmp_path, given):
    x = np.ones((4, 1))
    model = nnreg.run(spec({"type": "gate", **given}), data=(x, x[:, 0]), out=tmp_path / "run")
    gate = model.spec.model.layers[0].activation
    written = to_json(gate, installed())
    assert written == {"type": "gate", **(given or DEFAULT)}
    assert nnreg.build(spec(written), data=(x, x[:, 0])).spec.model.layers[0].activation == gate
    resolved = json.loads((tmp_path / "run/resolved.json").read_text())
    assert resolved["model"]["layers"][0]["activation"] == written
    assert nnreg.load(tmp_path / "run").spec.model.layers[0].activation == gate


def test_an_option_that_json_cannot_express_is_refused_by_its_name(tmp_path):
    x = np.ones((4, 1))
    with pytest.raises(SpecError) as caught:
        nnreg.run(spec("odd"), data=(x, x[:, 0]), out=tmp_path / "run")
    assert "is np.float32(1.5), which JSON cannot represent" in str(caught.value)
    assert "$.model.layers[0].activation: test_option_types.py " in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_every_reference_of_the_schema_is_defined():
    with pytest.warns(NnregWarning, match="'odd' of .* is omitted: the default of Odd.scale is"):
        schema = json_schema(installed())
    text = json.dumps(schema)
    assert {
        ref for ref in re.findall(r'"#/\$defs/([^"]*)"', text) if ref not in schema["$defs"]
    } == set()
    assert '"soft", "hard"' in text
