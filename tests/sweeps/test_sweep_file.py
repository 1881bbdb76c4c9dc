"""A sweep file is checked before anything runs, and each problem is located in it."""

import json

import pytest

from nnreg.errors import SpecError
from nnreg.sweeps.plan import MAX_RUNS, plan_sweep
from tests.helpers.sweeps import RATES, UNITS, write_spec, write_sweep


def problems(path):
    with pytest.raises(SpecError) as error:
        plan_sweep(path)
    return "\n".join(error.value.lines)


@pytest.fixture
def directory(tmp_path):
    write_spec(tmp_path)
    return tmp_path


def test_points_are_crossed_with_seeds_that_follow_that_of_the_spec(directory):
    write_spec(directory, seed=7)
    plan = plan_sweep(write_sweep(directory, seeds=2, grid={UNITS: [4, 8], RATES: [0.1, 0.01]}))
    assert [run.name for run in plan.runs[:3]] == ["001-seed-7", "001-seed-8", "002-seed-7"]
    assert plan.runs[3].overrides == (f"{RATES}=0.01", f"{UNITS}=4", "seed=8")
    assert plan.count == len(plan.runs) == 8


def test_seeds_can_be_listed_and_are_one_by_default(directory):
    assert plan_sweep(write_sweep(directory, seeds=[3, 11])).seeds == (3, 11)
    assert plan_sweep(write_sweep(directory)).seeds == (0,)


def test_a_value_inside_another_one_is_set_after_it(directory):
    layer = {"type": "dense", "units": 2}
    path = write_sweep(directory, points=[{UNITS: 5, "model.layers.0": layer}])
    assert plan_sweep(path).runs[0].overrides[:2] == (
        f"model.layers.0={json.dumps(layer)}",
        f"{UNITS}=5",
    )


def test_every_value_of_every_axis_is_checked_where_it_is(directory):
    text = problems(
        write_sweep(directory, grid={"model.layers.0.activation": ["relu", "rleu"], RATES: [1, -1]})
    )
    assert "2 problems" in text
    assert "$.grid.model.layers.0.activation[1]: no activation 'rleu'; did you mean 'relu'?" in text
    assert f"$.grid.{RATES}[1]: must be greater than 0, found -1" in text
    assert "sweep.json:1:" in text


def test_both_ends_of_a_range_and_all_choices_of_a_search_are_checked(directory):
    space = {"model.layers.0.units": {"integers": [0, 4]}, "loss": ["cross_entropy", "crss"]}
    for search in ("random", "optuna"):
        text = problems(write_sweep(directory, **{search: {"trials": 3, "space": space}}))
        assert f"$.{search}.space.model.layers.0.units: must be" in text
        assert f"$.{search}.space.loss[1]: no loss 'crss'" in text


def test_an_unknown_path_is_located_and_hides_no_other_problem(directory):
    text = problems(write_sweep(directory, grid={"model.layers.9.units": [1], RATES: [-1]}))
    assert "$.grid.model.layers.9.units[0]: no item '9' in model.layers" in text
    assert f"$.grid.{RATES}[0]: must be greater than 0" in text


def test_an_option_inside_a_value_is_named(directory):
    value = {"type": "leaky_relu", "slop": 0.1}
    text = problems(write_sweep(directory, points=[{"model.layers.0.activation": value}]))
    assert (
        "$.points[0].model.layers.0.activation: $.model.layers[0].activation.slop: unknown" in text
    )


def test_a_combination_that_does_not_fit_is_found_by_building_it(directory):
    conv = {"type": "conv2d", "filters": 2}
    text = problems(write_sweep(directory, grid={"model.layers.0": [conv]}))
    assert "$.grid.model.layers.0[0]: the input has shape (batch, 4)" in text


def test_unknown_keys_have_suggestions(directory):
    text = problems(
        write_sweep(directory, sead=3, random={"trials": 1, "space": {"x": {"logs": 1}}})
    )
    assert "unknown key 'sead'; did you mean 'seeds'?" in text
    assert "unknown key 'logs'; did you mean 'log'?" in text


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        ({"log": [0, 1]}, ".log[0]: must be greater than 0, found 0"),
        ({"uniform": [1, 1]}, ": must be two numbers in increasing order, found [1.0, 1.0]"),
        ({}, ": must have one of uniform, log, integers, log_integers, found 0 of them"),
        (3, ": must be an object, found 3"),
        ([], ": must not be empty, found []"),
    ],
)
def test_a_range_that_is_none_is_refused(directory, axis, text):
    path = write_sweep(directory, random={"trials": 2, "space": {RATES: axis}})
    assert f"$.random.space.{RATES}{text}" in problems(path)


def test_two_ways_to_give_points_are_refused(directory):
    path = write_sweep(directory, grid={UNITS: [1]}, points=[{UNITS: 1}])
    assert "must have one of grid and points; remove the others" in problems(path)


def test_seeds_are_no_axis(directory):
    assert "$.grid.seed[0]: give the seeds in 'seeds'" in problems(
        write_sweep(directory, grid={"seed": [1, 2]})
    )


def test_an_unknown_metric_has_a_suggestion(directory):
    text = problems(write_sweep(directory, metric="val_acuracy"))
    assert "$.metric: unknown metric 'val_acuracy'; did you mean 'val_accuracy'?" in text


def test_the_number_of_runs_is_limited_before_they_are_listed(directory):
    axis = list(range(1, 101))
    axes = {UNITS: axis, "train.epochs": axis, "train.batch_size": axis, "train.patience": axis}
    assert f"100,000,000 runs; the maximum of a sweep is {MAX_RUNS:,}" in problems(
        write_sweep(directory, grid=axes)
    )
    assert "20,000 runs" in problems(write_sweep(directory, seeds=20_000))
    optuna = {"trials": 5000, "space": {UNITS: [1, 2]}}
    assert "15,000 runs" in problems(write_sweep(directory, seeds=3, optuna=optuna))


def test_a_file_may_have_comments_and_the_spec_itself(directory):
    spec = json.loads((directory / "spec.json").read_text())
    path = directory / "inside.json"
    path.write_text(f'{{// inline\n"spec": {json.dumps(spec)}, "overrides": {{"seed": 4}},}}')
    plan = plan_sweep(path)
    assert plan.document.spec.data.path == "data.csv"
    assert plan.seeds == (4,)


def test_the_metric_is_the_loss_of_held_out_rows_if_there_are_any(directory):
    assert plan_sweep(write_sweep(directory)).metric == "val_loss"
    assert plan_sweep(write_sweep(directory, metric="val_accuracy")).higher_is_better
    without = write_sweep(directory, overrides={"data.split": {"test": 0.5}})
    assert plan_sweep(without).metric == "loss"


def test_problems_of_overrides_and_of_a_spec_inside_are_located_in_the_sweep(directory):
    overrides = {"train.epochs": 0, "train.batch_size": 5}
    assert "$.overrides.train.epochs: must be greater" in problems(
        write_sweep(directory, overrides=overrides)
    )
    spec = json.loads((directory / "spec.json").read_text()) | {"loss": "crss"}
    text = problems(write_sweep(directory, spec=spec))
    assert "$.spec.loss: no loss 'crss'" in text
    assert "sweep.json:1:" in text
