"""Inputs in a report: encoders give back the value that became their numbers."""

import numpy as np
import pytest

from nnreg.builtin import encoders
from nnreg.interfaces.encoder import RawColumn

NUMBERS = [1.5, -2.0, 40.25, 7.0, 7.0, 12.0]
SIZES = ["S", "M", "L", "M", "S", "L"]
ORDER = ("S", "M", "L")


def shown(encoder, values):
    column = RawColumn.of(values, encoder.takes)
    learned = encoder.learn(column)
    encoded = learned.encode(column).reshape(len(values), -1)
    encoded = encoded.astype(np.float32)  # as the network gets them
    return [learned.text_of(row) for row in encoded]


@pytest.mark.parametrize(
    "encoder",
    [
        encoders.Number("standard"), encoders.Number("power"), encoders.Number("min_max"),
        encoders.PiecewiseLinear(4),
    ],
    ids=str,
)  # fmt: skip
def test_numbers_are_shown_as_they_were(encoder):
    assert [float(text) for text in shown(encoder, NUMBERS)] == pytest.approx(NUMBERS, rel=1e-4)


@pytest.mark.parametrize(
    "encoder",
    [
        encoders.Category(), encoders.Index(), encoders.Ordered(ORDER),
        encoders.Ordered(ORDER, scaling="standard"), encoders.Ordered(ORDER, "thermometer"),
    ],
    ids=str,
)  # fmt: skip
def test_categories_are_shown_by_name(encoder):
    assert shown(encoder, SIZES) == SIZES


def test_categories_that_are_not_kept_are_shown_as_others():
    values = ["a", "a", "b", "b", "c"]
    assert shown(encoders.Category(2), values) == ["a", "a", "b", "b", "(other)"]
    assert shown(encoders.Index(2), values) == ["a", "a", "b", "b", "(other)"]


def test_an_encoder_without_a_text_of_its_values_has_none():
    assert shown(encoders.Hashed(4), SIZES) == [None] * len(SIZES)
