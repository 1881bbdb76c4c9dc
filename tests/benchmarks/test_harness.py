"""What is computed from times, and that a library left out is named."""

from dataclasses import replace

import pytest

from benchmarks import report
from benchmarks.harness import Row, UnavailableError, interleave
from tests.benchmarks.rows import EFFORT, row, table


def test_samples_are_taken_in_turn_and_a_figure_is_their_median():
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


def test_a_library_that_fails_is_left_out_and_named_and_the_others_go_on():
    def fail():
        raise UnavailableError("ModuleNotFoundError: No module named 'torch'")

    samples, left_out = interleave({"nnreg": lambda: 1.0, "PyTorch": fail}, EFFORT)
    assert samples == {"nnreg": [1.0] * 3}
    found = Row("a row", "s", samples, left_out)
    assert report.line(table(), found).split() == ["a", "row", "1.00", "-", "-"]
    assert report.left_out([found, found]) == (
        "  left out where '-': PyTorch: ModuleNotFoundError: No module named 'torch'"
    )


def test_a_row_that_has_taken_enough_gets_no_further_round():
    samples, _ = interleave({"slow": lambda: 1.0}, replace(EFFORT, enough=-1.0))
    assert samples == {"slow": [1.0]}


def test_a_library_that_the_run_skips_is_not_asked():
    skipping = replace(EFFORT, skipped={"slow": "too slow", "other": "-"})
    samples, left_out = interleave({"slow": lambda: pytest.fail("asked")}, skipping)
    assert (samples, left_out) == ({}, {"slow": "too slow"})


def test_a_ratio_is_the_best_peers_figure_over_our_best():
    found = row(nnreg=2.0, numba=1.0, PyTorch=8.0, JAX_jit=3.0)
    assert found.ratio(["nnreg"], ["PyTorch", "JAX jit"]) == 1.5
    assert found.ratio(["nnreg", "numba"], ["PyTorch", "JAX jit", "absent"]) == 3.0
    assert found.ratio(["nnreg"], ["absent"]) is None
    assert found.ratio(["absent"], ["PyTorch"]) is None
    assert Row("accuracy", "%", found.samples, compared=False).ratio(["nnreg"], ["PyTorch"]) is None
