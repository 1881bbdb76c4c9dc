"""Human-readable numbers, sizes and times, and suggested names."""

import math

import pytest

from nnreg._utils.formatting import byte_size, counted, duration, number
from nnreg._utils.memory import exceeds_memory
from nnreg._utils.os_errors import explain_os_error, os_errors_as
from nnreg._utils.suggestions import closest, suggest
from nnreg.data.split import reported_split
from nnreg.errors import DataError
from nnreg.training.history import best_epoch


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.1235"), (1.23456, "1.2346"), (12345.6, "12,346"), (2.5e8, "250,000,000"),
     (1e9, "1e+09"), (-1e-5, "-1e-05"), (math.nan, "nan"), (7, "7")],
)  # fmt: skip
def test_a_number_has_four_or_five_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e6, "2.5 MB"), (1.2e11, "120 GB"),
     (3e15, "3,000 TB")],
)  # fmt: skip
def test_a_size_has_the_largest_unit_that_fits(size, text):
    assert byte_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0075, "0.0 s"), (3.21, "3.2 s"), (59.94, "59.9 s"), (59.97, "1 min 00 s"),
     (245, "4 min 05 s"), (3599.7, "1 h 00 min"), (9000, "2 h 30 min"), (270000, "3.1 days")],
)  # fmt: skip
def test_a_duration_has_one_or_two_units(seconds, text):
    assert duration(seconds) == text


def test_a_short_duration_may_be_in_milliseconds():
    shown = [duration(seconds, milliseconds=True) for seconds in (0.0075, 0.099, 0.1)]
    assert shown == ["7.5 ms", "99.0 ms", "0.1 s"]


def test_a_count_has_a_singular_or_plural_noun():
    assert [counted(n, "row") for n in (0, 1, 1200)] == ["0 rows", "1 row", "1,200 rows"]


def test_the_most_similar_names_are_suggested():
    known = ["relu", "gelu", "tanh"]
    assert closest("elu", known) == ["gelu", "relu"]
    assert suggest("tahn", known) == "; did you mean 'tanh'?"
    assert suggest("xyz", known) == "; choose one of gelu, relu, tanh"
    assert suggest("xyz", known, "ask") == "; ask"
    assert suggest("xyz", []) == ""


def test_the_message_of_an_os_error_says_what_failed_and_suggests_a_file(tmp_path):
    (tmp_path / "penguins.csv").touch()
    missing = tmp_path / "penguin.csv"
    message = r"penguin\.csv: cannot read: No such file or directory$"
    with pytest.raises(DataError, match=message), os_errors_as(DataError, missing, "cannot read"):
        missing.read_text()
    with pytest.raises(FileNotFoundError) as found:
        missing.read_text()
    assert explain_os_error(found.value, missing).endswith(
        f"; did you mean {str(tmp_path / 'penguins.csv')!r}?"
    )
    assert explain_os_error(OSError("not regular")) == "not regular"


def test_more_than_a_fraction_of_the_memory_is_too_much(monkeypatch):
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 1000)
    assert [exceeds_memory(size, 1 / 2) for size in (500, 501)] == [False, True]
    assert not exceeds_memory(1000)
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: None)
    assert not exceeds_memory(10**18)


def test_the_split_to_report_is_test_else_validation_else_train():
    assert reported_split(["train", "test", "validation"]) == "test"
    assert reported_split({"validation": 1, "train": 1}) == "validation"
    assert reported_split(["train", "mean"]) == "train"
    assert reported_split([]) is None


def test_the_best_epoch_is_the_first_with_the_lowest_validation_loss():
    def records(*losses):
        return [{"loss": 1.0, "val_loss": loss} for loss in losses]

    assert best_epoch(records(3, 1, 2, 1)) == 2
    assert best_epoch(records(math.nan, math.inf, 5)) == 3
    assert best_epoch([{"loss": 1.0}]) is None
