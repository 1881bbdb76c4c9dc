"""Interleaved sampling, medians and ratios, and the list of omitted libraries."""

from dataclasses import replace

import pytest

from benchmarks import report
from benchmarks.harness import Row, UnavailableError, interleave
from tests.benchmarks.rows import EFFORT, row, table


def test_samples_are_interleaved_and_a_value_is_their_median():
    asked = []

    def sampler(name, values):
        def sample():
            asked.append(name)
            return values.pop(0)

        return sample

    samplers = {"a": sampler("a", [3.0, 1.0, 2.0]), "b": sampler("b", [5.0, 9.0, 5.5])}
    samples, left_out = interleave(samplers, EFFORT)
    assert asked == ["a", "b"] * 3
    assert left_out == {}
    assert Row("", "s", samples).figures == {"a": 2.0, "b": 5.5}


def test_a_library_that_fails_is_omitted_and_listed_and_the_others_are_measured():
    def fail():
        raise UnavailableError("ModuleNotFoundError: No module named 'torch'")

    samples, left_out = interleave({"nnreg": lambda: 1.0, "PyTorch": fail}, EFFORT)
    assert samples == {"nnreg": [1.0] * 3}
    found = Row("a row", "s", samples, left_out)
    assert report.line(table(), found).split() == ["a", "row", "1.00", "-", "-"]
    assert report.left_out([found, found]) == (
        "  omitted ('-'): PyTorch: ModuleNotFoundError: No module named 'torch'"
    )


def test_no_further_round_is_started_after_enough_seconds():
    samples, _ = interleave({"slow": lambda: 1.0}, replace(EFFORT, enough=-1.0))
    assert samples == {"slow": [1.0]}


def test_a_skipped_library_is_not_measured():
    skipping = replace(EFFORT, skipped={"slow": "too slow", "other": "-"})
    samples, left_out = interleave({"slow": lambda: pytest.fail("asked")}, skipping)
    assert (samples, left_out) == ({}, {"slow": "too slow"})


def test_a_ratio_is_the_best_value_of_the_peers_over_that_of_nnreg():
    found = row(nnreg=2.0, numba=1.0, PyTorch=8.0, JAX_jit=3.0)
    assert found.ratio(["nnreg"], ["PyTorch", "JAX jit"]) == 1.5
    assert found.ratio(["nnreg", "numba"], ["PyTorch", "JAX jit", "absent"]) == 3.0
    assert found.ratio(["nnreg"], ["absent"]) is None
    assert found.ratio(["absent"], ["PyTorch"]) is None
    assert Row("accuracy", "%", found.samples, compared=False).ratio(["nnreg"], ["PyTorch"]) is None
