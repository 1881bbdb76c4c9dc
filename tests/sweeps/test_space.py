"""Points of a search space: seeded, stable if there are more, within their ranges."""

import math

import numpy as np

from nnreg.sweeps.settings import Range
from nnreg.sweeps.space import combinations, distinct, one_at_a_time, random_point, short_names

SPACE = {
    "a": Range(log=(1e-4, 1e-1)),
    "b": Range(integers=(8, 64)),
    "c": ("relu", "tanh", {"type": "leaky_relu"}),
    "d": Range(uniform=(-1, 0.5)),
    "e": Range(log_integers=(1, 1000)),
}


def points(count, seed=0):
    return [random_point(SPACE, seed, trial) for trial in range(count)]


def test_more_trials_keep_the_first_ones_and_another_seed_gives_others():
    assert points(20)[:5] == points(5)
    assert points(5, seed=1) != points(5)


def test_random_values_are_in_their_ranges_and_fill_them():
    found = points(2000)
    for name, axis in SPACE.items():
        values = [point[name] for point in found]
        if isinstance(axis, Range):
            low, high = axis.ends
            assert low <= min(values) <= max(values) <= high
            assert all(isinstance(value, int) for value in values) == axis.whole
            scale = math.log if axis.logarithmic else float
            middle = np.mean([scale(value) for value in values])
            assert abs(middle - (scale(low) + scale(high)) / 2) < 0.06 * (scale(high) - scale(low))
        else:
            assert {str(value) for value in values} == set(map(str, axis))
    assert {point["b"] for point in found} == set(range(8, 65))  # both ends


def test_random_numbers_have_few_digits():
    assert all(len(f"{point['a']:e}".rstrip("0").split("e")[0]) <= 8 for point in points(50))
    assert all(float(f"{point['a']:.4g}") == point["a"] for point in points(50))


def test_a_grid_has_all_combinations_the_last_axis_first():
    assert list(combinations({"a": [1, 2], "b": ["x", "y"]})) == [
        {"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"},
    ]  # fmt: skip


def test_one_and_true_are_different_points():
    assert distinct([{"a": 1}, {"a": True}, {"a": 1}]) == [{"a": 1}, {"a": True}]


def test_every_value_is_among_the_points_that_are_checked_first():
    checked = list(one_at_a_time(SPACE))
    assert {point["a"] for point in checked} == {1e-4, 1e-1}
    assert len({str(point["c"]) for point in checked}) == 3
    assert len(checked) == 1 + 1 + 1 + 2 + 1 + 1


def test_a_path_is_shortened_to_what_distinguishes_it():
    assert short_names(["model.layers.0.units", "model.layers.1.units", "optimizer.beta"]) == {
        "model.layers.0.units": "0.units",
        "model.layers.1.units": "1.units",
        "optimizer.beta": "beta",
    }
    assert short_names(["optimizer", "optimizer.type"]) == {
        "optimizer": "optimizer", "optimizer.type": "type",
    }  # fmt: skip
