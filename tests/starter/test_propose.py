"""Specs proposed for the data sets of the example models, and refused data."""

import json

import pytest

import nnreg
from nnreg import DataError, UsageError, propose
from tests.helpers.paths import MODELS
from tests.starter.proposals import repeated, rng, tried

MIN_TEST_METRIC = {
    "penguins.csv": ("species", "accuracy", 0.95),
    "diabetes.csv": ("progression", "r2", 0.35),
    "iris.csv": ("species", "accuracy", 0.9),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MIN_TEST_METRIC)
def test_the_starter_spec_of_an_example_data_set_learns_it(name, tmp_path):
    target, metric, minimum = MIN_TEST_METRIC[name]
    proposal = propose(MODELS / name)
    assert proposal.target == target
    nnreg.run(proposal.tree, overrides=["data.split.test=0.2"], out=tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["test"][metric] >= minimum


@pytest.mark.slow
def test_the_starter_spec_of_the_digits_learns_them(tmp_path):
    proposal = propose(MODELS / "digits.npz")
    nnreg.run(proposal.tree, overrides=["train.threads=1"], out=tmp_path / "run")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["test"]["accuracy"] >= 0.97


@pytest.mark.parametrize(
    ("name", "target"),
    [("xor.csv", "xor"), ("single_neuron.csv", "target"), ("two_layer.csv", "target"),
     ("digits.npz", "digit"), ("forecast.csv", "visitors"), ("two_outputs.csv", "price"),
     ("recommender.csv", "stars")],
)  # fmt: skip
def test_the_starter_specs_of_the_other_example_data_sets_run(name, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tried(MODELS / name).target == target


def test_every_example_data_set_is_tested():
    tested = {*MIN_TEST_METRIC, "digits.npz", "xor.csv", "single_neuron.csv", "two_layer.csv",
              "forecast.csv", "two_outputs.csv", "recommender.csv"}  # fmt: skip
    not_proposed = {  # sequences, masks, pairs, not in the repository
        "reber.npz", "characters.npz", "topics.csv", "unet.npz", "siamese.npz", "mnist.npz",
    }  # fmt: skip
    found = {file.name for file in MODELS.iterdir() if file.suffix in (".csv", ".npz")}
    assert found - not_proposed == tested


class TestTarget:
    @pytest.mark.parametrize(
        ("names", "target", "why"),
        [
            (("x", "Label", "z"), "Label", "its name"),
            (("label", "target", "z"), "target", "its name"),
            (("a", "b", "c"), "c", "it is the last column"),
        ],
    )
    def test_it_is_guessed_by_its_name_or_is_the_last_column(self, table, names, target, why):
        proposal = table({name: rng(i).normal(size=20) for i, name in enumerate(names)})
        assert proposal.target == target
        assert why in proposal.comments["$.data.target"]

    def test_columns_that_cannot_be_predicted_are_not_guessed(self, table):
        proposal = table(
            {
                "a": rng().normal(size=30),
                "gaps": ["", *repeated(29, "u", "v")],
                "when": ["2024-01-01"] * 15 + ["2024-01-02"] * 15,
                "id": range(30),
                "same": [1] * 30,
                "name": [f"n{i}" for i in range(30)],
                "b": rng(1).normal(size=30),
            },
            target=None,
        )
        assert proposal.target == "b"

    def test_it_can_be_requested(self, table):
        proposal = table({"label": rng().normal(size=20), "b": rng(1).normal(size=20)}, "b")
        assert proposal.target == "b"
        assert "requested" in proposal.comments["$.data.target"]

    def test_an_unknown_column_gets_a_suggestion(self):
        with pytest.raises(UsageError, match="no column 'specis'; did you mean 'species'"):
            propose(MODELS / "penguins.csv", "specis")

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            ("same", "'same' cannot be predicted: it always has the same value"),
            ("name", "'name' cannot be predicted: it differs in each row"),
            ("id", "'id' cannot be predicted: it numbers the rows"),
        ],
    )
    def test_one_that_cannot_be_predicted_is_refused(self, table, target, message):
        columns = {"same": [1] * 30, "name": [f"n{i}" for i in range(30)], "id": range(30)}
        columns["x"] = rng().normal(size=30)
        with pytest.raises(DataError, match=message):
            table(columns, target)

    @pytest.mark.filterwarnings("ignore:.*dropped 1 of 30 rows")
    def test_rows_without_a_target_are_left_out(self, table):
        columns = {"gaps": ["", *repeated(29, "u", "v")], "x": rng().normal(size=30)}
        proposal = table(columns, "gaps")
        assert proposal.tree["data"]["missing_target"] == "drop"
        comment = proposal.comments["$.data.missing_target"]
        assert comment == "Leaves out 1 row without a target."


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("nowhere.csv", None, DataError, "cannot read the data: No such file"),
        ("data.docx", b"", UsageError, "this name; expected a directory of images, or -"),
        ("data", b"", UsageError, "no source reads files of this name"),
        ("data.csv", b"", DataError, "the file is empty"),
        ("data.csv", b"a,b\n", DataError, "no rows"),
        ("data.csv", b"a\n1\n2\n", DataError, "no column is left to predict 'a' from"),
        ("data.csv", b"a,b\n,1\n,2\n", DataError, "no column is left.*'a' has no values"),
        ("data.csv", b"a,b\n,\n,\n", UsageError, "no column looks like a target.*'a' has no"),
        ("data.csv", b"a,b\nx,x\n", UsageError, "'b' has only one class"),
        ("data.npz", b"PK", DataError, "not an npz archive"),
        ("data.csv.gz", b"a,b", DataError, "data.csv.gz: cannot read the data: Not a gzipped"),
    ],
)  # fmt: skip
def test_a_file_without_usable_columns_is_refused(tmp_path, name, content, error, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        propose(tmp_path / name)
