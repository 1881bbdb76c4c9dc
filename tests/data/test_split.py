"""Which rows are held out: a fraction of them, whole groups, or the latest."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from nnreg import DataError, SpecError
from nnreg.data.split import Rows
from nnreg.errors import NnregWarning
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.convert import table_of
from nnreg.tables.dates import times
from tests.helpers.specs import blobs, classifier, csv_data, regressor


@pytest.mark.parametrize("count", [10, 37, 344])
@pytest.mark.parametrize("fractions", [(0.2,), (0.2, 0.2), (0.1, 0.33)])
def test_a_split_has_every_row_once_and_the_requested_fractions(count, fractions):
    splits = Rows(count).split(fractions, seed=3)
    assert_every_row_once(splits, count)
    for rows, fraction in zip(splits[1:], fractions, strict=True):
        assert abs(len(rows) - fraction * count) <= 1


def test_a_stratified_split_keeps_the_class_proportions():
    labels = np.repeat([0, 1, 2], [150, 120, 70])
    for rows in Rows(340, labels).split((0.2, 0.2), seed=1):
        fractions = np.bincount(labels[rows]) / len(rows)
        assert fractions == pytest.approx(np.array([150, 120, 70]) / 340, abs=0.02)


def test_the_seed_decides_the_split():
    groups = np.repeat(np.arange(30), 4)
    for rows in (Rows(120), Rows(120, groups=groups)):
        first, again, other = (rows.split((0.2,), seed)[1] for seed in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert first.tolist() != other.tolist()
        one, same, another = (rows.folds(3, seed)[0][1] for seed in (0, 0, 1))
        np.testing.assert_array_equal(one, same)
        assert one.tolist() != another.tolist()


def test_a_split_by_fraction_has_the_rows_that_it_always_had():
    labels = np.arange(20) % 3
    _, validation, test = Rows(20).split((0.2, 0.2), seed=0)
    assert (validation.tolist(), test.tolist()) == ([1, 10, 11, 19], [0, 6, 12, 16])
    assert Rows(20, labels).split((0.25,), seed=7)[1].tolist() == [1, 9, 10, 11, 18]


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_splits_and_the_fractions_are_close(seed):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(40), rng.integers(1, 12, 40)))
    found = Rows(len(groups), groups=groups).split((0.2, 0.1), seed)
    assert_every_row_once(found, len(groups))
    assert_groups_apart(found, groups)
    for rows, fraction in zip(found[1:], (0.2, 0.1), strict=True):
        assert abs(len(rows) / len(groups) - fraction) < 0.02


def test_whole_groups_keep_the_classes_in_proportion_too():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 5)
    labels = (rng.random(60) < 0.2).astype(int)[groups]  # every group has one class
    overall = labels.mean()
    for found in (
        Rows(300, labels, groups).split((0.25,), seed=2),
        [held_out for _, held_out in Rows(300, labels, groups).folds(4, seed=2)],
    ):
        assert_groups_apart(found, groups)
        for rows in found:
            assert labels[rows].mean() == pytest.approx(overall, abs=0.05)


SPLIT_DIGEST = """
import hashlib, numpy as np
from nnreg.data.split import Rows

digest = hashlib.sha256()
for seed in range(200):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(24), 4))
    rows = Rows(96, rng.integers(0, 5, 96), groups)
    splits = [*rows.split((0.2, 0.2), seed), *(held_out for _, held_out in rows.folds(3, seed))]
    for rows in splits:
        digest.update(rows.astype("<i8").tobytes() + b"|")
print(digest.hexdigest())
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="kernels of x86")
def test_whole_groups_are_split_alike_by_every_kernel_of_openblas():
    digests = {
        subprocess.run(
            [sys.executable, "-c", SPLIT_DIGEST],
            env={**os.environ, "OPENBLAS_CORETYPE": kernel},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for kernel in ("Nehalem", "Haswell")
    }
    assert len(digests) == 1


def test_no_split_is_empty_however_few_the_groups():
    groups = np.repeat([0, 1, 2], [50, 30, 20])
    found = Rows(100, groups=groups).split((0.05, 0.05), seed=0)
    assert [len(rows) for rows in found] == [50, 30, 20]
    with pytest.raises(DataError, match="2 groups are too few for 3 splits"):
        Rows(10, groups=np.arange(10) % 2).split((0.2, 0.2), seed=0)


def test_the_latest_rows_are_held_out_and_rows_of_the_same_time_stay_together():
    order = np.random.default_rng(0).permutation(100)
    when = order // 3
    train, validation, test = Rows(100, times=when).split((0.2, 0.2), seed=0)
    assert_every_row_once([train, validation, test], 100)
    assert when[train].max() < when[validation].min() <= when[validation].max() < when[test].min()
    for rows in (validation, test):
        assert abs(len(rows) - 20) <= 3
    with pytest.raises(DataError, match="2 distinct times are too few"):
        Rows(9, times=np.arange(9) // 5).split((0.2, 0.2), seed=0)
    with pytest.raises(DataError, match="too many rows have the same time"):
        Rows(9, times=np.array([0] * 7 + [1, 2])).split((0.5, 0.4), seed=0)


@pytest.mark.parametrize("labels", [None, np.arange(23) % 2])
def test_each_row_is_held_out_in_one_fold(labels):
    folds = Rows(23, labels).folds(5, seed=0)
    assert_every_row_once([held_out for _, held_out in folds], 23)
    for train, held_out in folds:
        assert_every_row_once([train, held_out], 23)
        assert len(held_out) in (4, 5)
        if labels is not None:
            assert abs(np.bincount(labels[held_out])[0] - 2.4) < 1
    with pytest.raises(DataError, match="23 rows are too few for 24 folds"):
        Rows(23).folds(24, seed=0)


def test_folds_of_groups_have_nearly_equal_sizes():
    groups = np.repeat(np.arange(10), np.arange(1, 11))
    folds = Rows(55, groups=groups).folds(5, seed=0)
    assert [len(held_out) for _, held_out in folds] == [11] * 5
    assert_groups_apart([held_out for _, held_out in folds], groups)


def test_folds_in_time_train_on_earlier_rows():
    when = np.random.default_rng(1).permutation(60)
    folds = Rows(60, times=when).folds(5, seed=0)
    for number, (train, held_out) in enumerate(folds, 1):
        assert sorted(when[train]) == list(range(10 * number))
        assert sorted(when[held_out]) == list(range(10 * number, 10 * number + 10))


def test_times_are_numbers_or_iso_dates():
    stamps = ["2024-02-01T00:00Z", "2024-01-31T23:30:00-01:00", "2024-01-31T10:00Z"]
    assert np.argsort(times(table_of({"t": np.array(stamps, object)}), "t")).tolist() == [2, 0, 1]
    assert times(table_of({"t": [3, 1.5]}), "t").tolist() == [3, 1.5]


TABLE = """patient,day,length,species
p1,2024-01-03,1.0,red
p1,2024-01-01,1.1,blue
p2,2024-01-04,4.0,red
p2,2024-01-02,4.1,blue
p3,2024-01-06,1.2,red
p3,2024-01-05,4.2,blue
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(TABLE)
    return tmp_path


def prepared(**data):
    return prepare_from_spec(read_spec(classifier(data=csv_data(**data))))


def test_the_group_column_is_not_an_input_unless_listed(directory):
    split = {"validation": 0.34, "group": "patient"}
    run = prepared(split=split, exclude=["day"])
    assert run.model.preprocessing.names == ("length",)
    assert [len(run.train), len(run.validation)] == [4, 2]
    with pytest.warns(NnregWarning, match="unknown category 'p2'"):
        listed = prepared(split=split, inputs=["patient", "length"], unseen="ignore")
    assert listed.model.preprocessing.names == ("patient", "length")
    hidden = prepared(split=split, exclude=["day", "patient"])
    assert hidden.model.preprocessing.names == ("length",)


def test_a_date_is_not_an_input_but_can_be_the_order(directory):
    split = {"validation": 0.34, "order": "day"}
    run = prepared(split=split, exclude=["patient"])
    assert run.model.preprocessing.names == ("length",)
    scale = run.model.preprocessing.inputs[0].encoder
    later = (np.array([1.2, 4.2]) - scale.mean) / scale.std
    np.testing.assert_allclose(run.validation.x[:, 0], later, rtol=1e-6)


def test_the_order_may_be_that_of_the_file(directory):
    run = prepared(split={"test": 0.34, "order": True}, inputs=["length"], scaling="none")
    np.testing.assert_allclose(run.test.x[:, 0], [1.2, 4.2], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "split", "message"),
    [
        (TABLE, {"group": "patent"}, "no column 'patent'; did you mean 'patient'"),
        (TABLE, {"order": "patient"},
         r"line 2, column 'patient': found 'p1', expected a number or an ISO date such as"),
        (TABLE.replace("p2,2024-01-04", "NA,2024-01-04"), {"group": "patient"},
         r"line 4, column 'patient': the value is missing, but the split needs it"),
        (TABLE.replace("2024-01-04", ""), {"order": "day"}, r"line 4, column 'day': the value is"),
        (TABLE.replace("2024-01-04", "2024-02-30"), {"order": "day"}, "found '2024-02-30'"),
    ],
)  # fmt: skip
def test_an_unusable_split_column_is_reported_with_its_location(directory, text, split, message):
    (directory / "data.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        prepared(split={"validation": 0.34, **split}, inputs=["length"])


@pytest.mark.parametrize("other", [{"group": "patient"}, {"stratify": True}])
def test_an_order_cannot_be_combined_with_groups_or_stratify(other):
    with pytest.raises(SpecError, match="'order' already determines the held-out rows; remove"):
        read_spec(classifier(data=csv_data(split={"validation": 0.2, "order": True, **other})))


def test_the_split_and_the_weights_can_have_seeds_of_their_own():
    data = blobs(40)

    def prepared(seed, own=None, **train):
        split = {"validation": 0.25} if own is None else {"validation": 0.25, "seed": own}
        spec = classifier(data=csv_data(split=split), seed=seed, train={"epochs": 1, **train})
        return prepare_from_spec(read_spec(spec), data)

    def rows(one):
        return one.validation.x.tolist()

    def weights(one):
        return one.model.network.vector.tolist()

    both, same_rows, same_weights = prepared(1), prepared(2, own=1), prepared(1, own=2)
    assert rows(both) == rows(same_rows) != rows(same_weights)
    assert weights(both) == weights(same_weights) != weights(same_rows)
    folds = [prepared(seed, own=1, folds=3) for seed in (1, 2)]
    assert rows(folds[0]) == rows(folds[1]) != rows(prepared(2, folds=3))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"split": {"test": 0.2, "order": True, "seed": 0}}, "held-out rows; remove 'seed'"),
        (
            {"window": {"length": 2}, "split": {"seed": 0}},
            "by time, so that 'split' cannot have 'seed'",
        ),
    ],
)
def test_a_seed_of_a_split_that_draws_nothing_is_refused(data, message):
    with pytest.raises(SpecError, match=message):
        read_spec(regressor(data=csv_data(target="y", **data)))


def test_numbers_and_sequences_have_no_classes_to_stratify(directory):
    data = csv_data(target="length", inputs=["patient"], split={"test": 0.3, "stratify": True})
    with pytest.raises(SpecError, match=r"\$\.data\.split\.stratify: the target is numeric"):
        prepare_from_spec(read_spec(regressor(data=data)))
    spec = classifier(data={**data, "target": "target", "inputs": ["x"]})
    x, y = np.zeros((6, 4, 2)), np.tile([0, 1], (6, 2))
    with pytest.raises(SpecError, match="classes per row"):
        prepare_from_spec(read_spec(spec), (x, y))


def assert_every_row_once(splits, count):
    assert sorted(np.concatenate(splits).tolist()) == list(range(count))
    for rows in splits:
        assert np.all(np.diff(rows) > 0)


def assert_groups_apart(splits, groups):
    seen = [set(groups[rows].tolist()) for rows in splits]
    assert sum(map(len, seen)) == len(set.union(*seen))
