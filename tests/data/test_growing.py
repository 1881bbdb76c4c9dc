"""Arrays that grow have all values in order, and text is copied once."""

from random import Random

import numpy as np
import pytest

from nnreg._utils import memory
from nnreg.builtin.sources.delimited import Csv
from nnreg.tables.growing import Growing, GrowingText
from nnreg.tables.packed_texts import TEXT, PackedTexts


def packed(texts):
    raw = np.array([text or "" for text in texts], "S")
    return PackedTexts(raw, np.array([text is None for text in texts]))


@pytest.mark.parametrize("seed", range(40))
def test_values_are_in_order_whatever_fraction_is_said(seed):
    rng = Random(seed)
    text, numbers, expected = GrowingText(), Growing(np.float64), []
    for _ in range(rng.randint(1, 12)):
        part = [rng.choice([None, "", "x", f"{rng.random()}"]) for _ in range(rng.randrange(50))]
        fraction = rng.choice([1e-9, rng.random(), 1.0, 7.0])
        values = packed(part) if rng.random() < 0.5 and part else np.array(part, TEXT)
        text.extend(values, fraction)
        numbers.extend(np.arange(len(expected), len(expected) + len(part)), fraction)
        expected += part
    assert text.nbytes == 16 * len(expected)
    assert numbers.all.tolist() == list(range(len(expected)))
    assert text.array().tolist() == expected


def test_text_is_written_where_it_remains_if_the_fraction_is_right():
    text = GrowingText()
    text.extend(np.array(["a", None], TEXT), 0.5)
    memory = text._memory
    text.extend(packed(["c", None]), 1.0)
    found = text.array()
    assert found.base is memory
    assert found.tolist() == ["a", None, "c", None]


def test_the_limit_of_memory_is_looked_up_once_per_file(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(memory, "memory_limit", lambda: looked.append(1))
    monkeypatch.setattr("nnreg.builtin.sources.delimited_reader.BLOCK", 100)
    (tmp_path / "t.csv").write_text("a,b\n" + "1,x\n" * 9000)
    assert len(Csv().read(tmp_path / "t.csv")) == 9000
    assert len(looked) <= 3
