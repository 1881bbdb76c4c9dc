"""Groups of runs, the differences between them, and what is concluded."""

import statistics

import numpy as np
import pytest

import nnreg
from nnreg.comparison.conclusions import conclusions
from nnreg.comparison.settings import short
from nnreg.comparison.statistics import paired_test
from tests.comparison.run_files import write_groups, write_run

RELU, TANH = (0.90, 0.92, 0.91, 0.94, 0.93), (0.80, 0.81, 0.82, 0.83, 0.80)


def test_runs_whose_specs_differ_in_seeds_alone_are_a_group(tmp_path):
    found = nnreg.compare(write_groups(tmp_path / "runs", {"relu": RELU, "tanh": TANH}))
    relu, tanh = found.groups
    assert (relu.name, tanh.name) == ("activation relu", "activation tanh")
    assert relu.settings == {"model.layers.0.activation": "relu"}
    assert relu.runs == ("run-1", "run-2", "run-3", "run-4", "run-5")
    estimate = relu.metrics["test r2"]
    assert estimate.values == RELU
    assert estimate.mean == pytest.approx(statistics.fmean(RELU))
    assert estimate.std == pytest.approx(statistics.stdev(RELU))
    assert min(RELU) <= estimate.interval[0] < estimate.mean < estimate.interval[1] <= max(RELU)


def test_groups_are_compared_with_the_best_by_runs_of_the_same_seed(tmp_path):
    found = nnreg.compare(write_groups(tmp_path / "runs", {"relu": RELU, "tanh": TANH}))
    relu, tanh = found.groups
    assert found.references == {"test loss": relu.name, "test r2": relu.name}
    assert not relu.differences
    difference = tanh.differences["test r2"]
    expected = paired_test([b - a for a, b in zip(RELU, TANH, strict=True)])
    assert (difference.mean, difference.low, difference.high, difference.p) == pytest.approx(
        (expected.mean, expected.low, expected.high, expected.p)
    )
    assert (difference.paired, difference.count, difference.overlap) == (True, 5, 0)
    assert tanh.differences["test loss"].mean == pytest.approx(-expected.mean)
    assert conclusions(found, "test r2")[0] == (
        "activation relu differs by more than noise from: activation tanh"
    )


def test_the_reference_may_be_named_by_a_run(tmp_path):
    runs = write_groups(tmp_path / "runs", {"relu": RELU, "tanh": TANH})
    for name in ("run-7", runs / "run-7", "activation tanh"):
        found = nnreg.compare(runs, reference=str(name))
        assert found.references["test r2"] == "activation tanh"
        assert found.groups[0].differences["test r2"].mean > 0
    with pytest.raises(nnreg.UsageError, match="run-99: not the name of a group or of a run"):
        nnreg.compare(runs, reference="run-99")


def test_a_split_may_be_chosen(tmp_path):
    runs = write_groups(tmp_path / "runs", {"relu": RELU})
    (group,) = nnreg.compare(runs, split="validation").groups
    assert group.metrics["validation r2"].mean == pytest.approx(1 + statistics.fmean(RELU))


def test_results_on_several_splits_are_corrected_for_the_rows_that_they_share(tmp_path):
    values = {"relu": RELU, "tanh": TANH}
    same, other = (
        nnreg.compare(write_groups(tmp_path / name, values, split_seed=split_seed))
        for name, split_seed in (("same", 0), ("other", None))
    )
    one, corrected = (found.groups[1].differences["test r2"] for found in (same, other))
    assert corrected.overlap == pytest.approx(0.25 / 0.5)
    assert corrected.mean == one.mean
    assert corrected.high - corrected.low > 1.8 * (one.high - one.low)
    assert any("hold out the same rows" in line for line in conclusions(same, "test r2"))
    assert any("Nadeau and Bengio" in line for line in conclusions(other, "test r2"))


def test_cross_validations_are_compared_fold_by_fold(tmp_path):
    for activation, values in (("relu", RELU), ("tanh", TANH)):
        for fold, value in enumerate(values, 1):
            write_run(tmp_path / activation / f"fold-{fold}", {"loss": 1.0, "r2": value},
                      activation=activation, folds=5, fold=fold)  # fmt: skip
    found = nnreg.compare(tmp_path / "relu", tmp_path / "tanh")
    assert [len(group.runs) for group in found.groups] == [5, 5]
    difference = found.groups[1].differences["test r2"]
    assert (difference.paired, difference.count) == (True, 5)
    assert difference.overlap == pytest.approx(1 / (4 * 0.75))  # a fold, to 3/4 of the others
    assert [side.run for side in found.sides] == ["relu", "tanh"]


def test_groups_without_common_seeds_are_compared_by_their_means(tmp_path):
    for seed, (one, other) in enumerate(zip(RELU, TANH, strict=True)):
        write_run(tmp_path / f"a{seed}", {"r2": one}, seed=seed, split_seed=0)
        write_run(tmp_path / f"b{seed}", {"r2": other}, seed=50 + seed, split_seed=0, units=9)
    found = nnreg.compare(tmp_path)
    assert not found.groups[1].differences["test r2"].paired
    assert any("share no seeds" in line for line in conclusions(found, "test r2"))


def test_one_run_per_spec_says_that_nothing_is_known_about_noise(tmp_path):
    found = nnreg.compare(write_groups(tmp_path / "runs", {"relu": [0.9], "tanh": [0.8]}))
    assert not found.repeated
    assert all(not group.differences for group in found.groups)
    (line,) = conclusions(found, "test r2")
    assert "nothing can be concluded about noise" in line


def test_two_runs_have_no_bootstrap_interval_and_a_warning(tmp_path):
    runs = write_groups(tmp_path / "runs", {"relu": [0.9, 0.92], "tanh": [0.8, 0.88]})
    found = nnreg.compare(runs)
    assert found.groups[0].metrics["test r2"].interval is None
    difference = found.groups[1].differences["test r2"]
    assert difference.low < -0.4 < 0.3 < difference.high  # t of one degree of freedom is 12.7
    assert difference.within_noise
    lines = conclusions(found, "test r2")
    assert "2 runs per group show only large differences; at least 5 are better" in lines
    assert not any("more seeds" in line for line in lines)  # two values are no basis for that


def test_the_needed_number_of_seeds_is_said_where_it_can_be_estimated(tmp_path):
    noisy = [0.95, 0.80, 0.90, 0.85, 0.93]
    found = nnreg.compare(write_groups(tmp_path / "runs", {"relu": RELU, "noisy": noisy}))
    difference = found.groups[1].differences["test r2"]
    assert difference.needed > difference.count
    text = " ".join(conclusions(found, "test r2"))
    assert f"about {difference.needed - 5} more seeds would exclude it" in text
    opposite = [1.0, 0.8, 1.02, 0.85, 0.925]
    found = nnreg.compare(write_groups(tmp_path / "more", {"relu": RELU, "other": opposite}))
    assert "even 100 seeds would not exclude it" in " ".join(conclusions(found, "test r2"))


def test_many_groups_are_judged_by_p_values_adjusted_for_their_number(tmp_path):
    """With 30 equal activations, about one interval of a difference excludes 0 by chance."""
    rng = np.random.default_rng(0)
    values = {f"f{i}": rng.normal(0.9, 0.01, 5).tolist() for i in range(30)}
    found = nnreg.compare(write_groups(tmp_path / "runs", values))
    differences = [one.differences["test r2"] for one in found.groups if one.differences]
    assert any(one.high < 0 for one in differences)
    assert all(one.within_noise for one in differences)
    assert "29 of 29 groups are within noise of" in " ".join(conclusions(found, "test r2"))


def test_a_repeated_run_is_not_counted_twice(tmp_path):
    runs = write_groups(tmp_path / "runs", {"relu": RELU[:2], "tanh": TANH[:2]})
    write_run(runs / "run-9", {"loss": 1.0, "r2": 0.9}, seed=0, split_seed=0, activation="relu")
    found = nnreg.compare(runs)
    assert len(found.groups[0].runs) == 2
    assert found.excluded == {"run-9": "has the spec and the seeds of run-1, which is counted once"}


def test_failed_and_unfinished_runs_are_apart_with_the_reason(tmp_path):
    runs = write_groups(tmp_path / "runs", {"relu": RELU, "tanh": TANH})
    write_run(runs / "run-11", {}, seed=7, stopped="diverged", epochs=1, planned=9)
    write_run(runs / "run-12", {}, seed=8, stopped=None, planned=9)
    write_run(runs / "run-13", {}, seed=9, stopped="interrupted", planned=9)
    (runs / "run-14").mkdir()
    (runs / "run-14" / "spec.json").write_text("{}")
    write_run(runs / "run-15", {"r2": 1.0}, seed=9)
    (runs / "run-15" / "summary.json").write_text("not JSON")
    (runs / "notes").mkdir()
    (runs / "sweep.json").write_text("{}")
    found = nnreg.compare(runs)
    assert [len(group.runs) for group in found.groups] == [5, 5]
    unreadable = found.excluded.pop("run-15")
    assert "not JSON" in unreadable
    assert found.excluded == {
        "run-11": "diverged after epoch 1 of 9",
        "run-12": "ended without a summary after epoch 2 of 9",
        "run-13": "interrupted after epoch 2 of 9",
        "run-14": "not a run directory (no metrics.jsonl); list runs with `nnreg runs`",
    }


def test_options_that_follow_from_a_component_are_no_settings_of_their_own(tmp_path):
    adam = {"type": "adam", "learning_rate": 0.1, "beta1": 0.9}
    write_run(tmp_path / "a", {"r2": 0.9}, units=4)
    write_run(tmp_path / "b", {"r2": 0.8}, optimizer=adam)
    assert list(nnreg.compare(tmp_path).groups[0].settings) == ["optimizer"]
    write_run(tmp_path / "c", {"r2": 0.7}, optimizer={**adam, "beta1": 0.5})
    settings = list(nnreg.compare(tmp_path).groups[0].settings)
    assert settings == ["optimizer", "optimizer.beta1"]


def test_losses_that_are_computed_in_different_ways_are_not_compared(tmp_path):
    runs = write_groups(tmp_path / "runs", {"relu": RELU, "tanh": TANH})
    for number in range(6, 11):
        file = runs / f"run-{number}" / "resolved.json"
        file.write_text(file.read_text().replace("mean_squared_error", "huber"))
    found = nnreg.compare(runs)
    assert list(found.references) == ["test r2"]
    assert "test loss" not in found.groups[1].differences


def test_a_metric_that_is_not_a_number_in_one_run_is_not_averaged(tmp_path):
    runs = write_groups(tmp_path / "runs", {"relu": RELU, "tanh": [*TANH[:4], float("nan")]})
    relu, tanh = nnreg.compare(runs).groups
    assert tanh.metrics["test r2"].mean != tanh.metrics["test r2"].mean
    assert tanh.metrics["test r2"].interval is None
    assert not tanh.differences
    assert nnreg.compare(runs).references["test r2"] == relu.name


def test_differences_that_are_equal_in_all_runs_say_nothing_about_noise(tmp_path):
    runs = write_groups(tmp_path / "runs", {"relu": [0.75, 0.75, 0.75], "tanh": [0.5, 0.5, 0.5]})
    found = nnreg.compare(runs)
    assert found.groups[1].differences["test r2"].within_noise
    assert "so noise is unknown" in " ".join(conclusions(found, "test r2"))


def test_the_seed_of_the_spec_and_that_of_the_split_have_different_names():
    assert short(["seed", "data.split.seed", "a.units", "b.units", "train.epochs"]) == {
        "seed": "seed", "data.split.seed": "split.seed", "a.units": "a.units",
        "b.units": "b.units", "train.epochs": "epochs",
    }  # fmt: skip


def test_numbers_of_many_digits_are_rounded_in_names_that_stay_distinct(tmp_path):
    for i, rate in enumerate((0.0012345678, 0.0098765432)):
        write_run(tmp_path / f"a{i}", {"r2": 1.0}, optimizer={"type": "sgd", "learning_rate": rate})
    names = [group.name for group in nnreg.compare(tmp_path).groups]
    assert names == ["learning_rate 0.001235", "learning_rate 0.009877"]
    write_run(tmp_path / "b", {"r2": 1.0},
              optimizer={"type": "sgd", "learning_rate": 0.0012345679})  # fmt: skip
    assert len({group.name for group in nnreg.compare(tmp_path).groups}) == 3
