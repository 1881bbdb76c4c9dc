"""Sequences of different lengths: `Padded`."""

from __future__ import annotations

import numpy as np
import pytest

from nnreg import DataError, Padded
from nnreg.tables.named import NamedArrays, concatenate

SEQUENCES = [np.array([1.0, 2.0, 3.0]), np.array([]), np.array([4.0])]


def test_sequences_are_filled_with_zeros_and_come_back_as_they_were():
    padded = Padded.of(SEQUENCES)
    np.testing.assert_array_equal(padded.values, [[1, 2, 3], [0, 0, 0], [4, 0, 0]])
    np.testing.assert_array_equal(padded.lengths, [3, 0, 1])
    for given, found in zip(SEQUENCES, padded.sequences(), strict=True):
        np.testing.assert_array_equal(given, found)


def test_steps_may_be_vectors_and_integers_stay_integers():
    padded = Padded.of([[[1, 2], [3, 4]], [], [[5, 6]]])
    assert padded.shape == (3, 2, 2)
    assert padded.dtype.kind == "i"
    np.testing.assert_array_equal(padded.points, [[1, 2], [3, 4], [5, 6]])


def test_the_mask_is_true_at_real_steps():
    mask = Padded.of(SEQUENCES).mask
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, [[1, 1, 1], [0, 0, 0], [1, 0, 0]])


@pytest.mark.parametrize("rows", [slice(1, 3), np.array([2, 0])])
def test_rows_are_selected_as_those_of_an_array(rows):
    padded = Padded.of(SEQUENCES)
    found = padded[rows]
    np.testing.assert_array_equal(found.values, padded.values[rows])
    np.testing.assert_array_equal(found.lengths, padded.lengths[rows])
    assert len(found) == 2


def test_values_after_the_end_become_zero_and_the_given_array_is_not_changed():
    values = np.array([[1.0, np.nan], [3.0, 4.0]])
    padded = Padded(values, [1, 2])
    np.testing.assert_array_equal(padded.values, [[1, 0], [3, 4]])
    assert np.isnan(values[0, 1])


@pytest.mark.parametrize(
    ("values", "lengths", "message"),
    [
        (np.ones(3), [1, 1, 1], r"shape \(rows, steps, ...\), found \(3,\)"),
        (np.ones((2, 3)), [1], "2 padded sequences need as many lengths"),
        (np.ones((2, 3)), [1.0, 2.0], "integers, found float64"),
        (
            np.ones((2, 3)),
            [1, 4],
            "row 1: the length 4 is not between 0 and the number of steps",
        ),
        (np.ones((2, 3)), [-1, 2], "row 0: the length -1"),
        ([[1, 2], [3]], [2, 1], "lists of different lengths; Padded.of takes those"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(values, lengths, message):
    with pytest.raises(DataError, match=message):
        Padded(values, lengths)


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([[[1, 2], [3, 4]], [[1, 2], [3]]], "row 1: lists within the sequence differ in length"),
        ([[1.0], 2.0], "row 1: expected a sequence of numbers, found a single value"),
        ([[1.0], ["a"]], "row 1: expected a sequence of numbers, found <U1"),
        ([[1.0], [[1.0, 2.0]]], r"row 1: its steps have shape \(2,\), those of the rows before"),
    ],
)
def test_sequences_that_differ_in_more_than_their_length_are_refused(sequences, message):
    with pytest.raises(DataError, match=message):
        Padded.of(sequences)


def test_no_sequences_and_only_empty_ones_are_accepted():
    assert Padded.of([]).shape == (0, 0)
    assert Padded.of([np.empty((0, 2)), []]).shape == (2, 0, 2)


def test_the_number_of_steps_may_change_and_parts_may_differ_in_it():
    padded = Padded.of(SEQUENCES)
    assert padded.resized(5).shape == (3, 5)
    assert padded.resized(3) is padded
    np.testing.assert_array_equal(padded.resized(5).resized(3).values, padded.values)
    joined = concatenate([padded, Padded.of([[7.0] * 4])])
    np.testing.assert_array_equal(joined.lengths, [3, 0, 1, 4])
    np.testing.assert_array_equal(joined.values[3], [7, 7, 7, 7])


def test_points_are_put_back_where_they_came_from():
    padded = Padded.of(SEQUENCES)
    again = padded.with_points(padded.points * 2)
    np.testing.assert_array_equal(again.values, padded.values * 2)


def test_arrays_by_name_may_be_padded():
    named = NamedArrays({"words": Padded.of(SEQUENCES), "table": np.arange(3)})
    part = named[np.array([2, 0])]
    np.testing.assert_array_equal(part["words"].lengths, [1, 3])
    joined = concatenate([named, part])
    np.testing.assert_array_equal(joined["words"].lengths, [3, 0, 1, 1, 3])
    assert named.nbytes == Padded.of(SEQUENCES).nbytes + named["table"].nbytes
