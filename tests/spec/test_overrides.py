"""Overrides of a spec, as `--set` gives them."""

import json

import pytest

import nnreg
from nnreg import SpecError, UsageError
from nnreg.checkpoint.save_load import from_file_content, to_file_content
from nnreg.spec.document import read_spec
from tests.helpers.specs import blobs, classifier, csv_data
from tests.spec.reading import problems_of, tree_of


class TestSet:
    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("train.epoch=5", "unknown key 'epoch'; did you mean 'epochs'?"),
            (
                "optimizer.learning_rat=1",
                "unknown key 'learning_rat'; did you mean",
            ),
            ("optimzer.learning_rate=1", "unknown key 'optimzer'; did you mean 'optimizer'?"),
            ("train.epochs=many", 'must be a valid integer, found "many"'),
            ("train.l2=NaN", 'must be a valid number, found "NaN"'),
            ("train.early_stopping.patiense=3", "unknown key 'patiense'; did you mean 'patience'"),
            ('train={"epoch": 3}', "$.train.epoch: unknown key 'epoch'; did you mean 'epochs'?"),
            ("model.layers.0.activation.slope=2", "unknown key 'slope'; there are no options"),
            ("loss=cross_entropi", "no loss 'cross_entropi'; did you mean 'cross_entropy'?"),
        ],
    )
    def test_a_problem_with_an_override_names_the_override(self, files, override, message):
        files(spec=classifier())
        for source in ("spec.json", classifier()):
            (problem,) = problems_of(source, [override])
            assert problem.startswith(f"--set {override}: {message}")

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("model.layers.5.units=3",
             "--set model.layers.5.units=3: no item '5' in model.layers, which has 3, "
             "numbered 0 to 2"),
            ("model.layers.x=3", "no item 'x' in model.layers"),
            ("metrics.0=f1", "no item '0' in metrics, which has 0"),
            ("train.epochs.x=3", "train.epochs is 5, which has no items or keys to set"),
        ],
    )  # fmt: skip
    def test_a_path_that_does_not_exist_is_refused(self, override, message):
        with pytest.raises(UsageError) as caught:
            read_spec(classifier(metrics=[]), [override])
        assert message in str(caught.value)

    def test_options_of_a_component_given_by_name_can_be_set(self):
        overrides = ["optimizer.learning_rate=0.5", "model.layers.0.activation=leaky_relu",
                   "model.layers.0.activation.slope=0.3"]  # fmt: skip
        spec = read_spec(classifier(optimizer="adam"), overrides).spec
        assert spec.optimizer.learning_rate == 0.5
        assert spec.model.layers[0].activation.slope == 0.3

    def test_a_section_that_is_null_or_absent_is_created(self):
        spec = classifier(train={"early_stopping": None})
        for path in ("train.early_stopping.patience", "checkpoint.keep"):
            assert read_spec(spec, [f"{path}=3"])
        assert read_spec(spec, ["train.early_stopping.patience=3"]).spec.train.early_stopping

    def test_the_last_of_two_overrides_takes_precedence(self, files):
        files(spec=classifier())
        assert tree_of("spec.json", ["seed=1", "seed=2"])["seed"] == 2
        (problem,) = problems_of("spec.json", ["seed=x", "seed=y"])
        assert problem.startswith("--set seed=y: ")

    def test_a_section_made_invalid_by_an_override_names_the_override(self, files):
        files(spec=classifier(data=csv_data(split={"validation": 0.5})))
        (problem,) = problems_of("spec.json", ["data.split.test=0.6", "train.epochs=2"])
        assert problem.startswith("spec.json:1:")
        assert problem.endswith("lower their fractions (with --set data.split.test=0.6)")

    def test_an_override_of_a_checkpoint_is_reported_as_one_of_a_spec(self, files):
        saved = to_file_content(nnreg.build(classifier(), data=blobs()))
        for override in ("train.epoch=5", "train.epochs=x"):
            with pytest.raises(SpecError, match=f"--set {override}: ") as caught:
                from_file_content(saved, "m.h5", [override])
            assert caught.value.exit_code == 2
        saved.document["spec"] = {**saved.document["spec"], "seed": -1}
        with pytest.raises(nnreg.CheckpointError, match=r"(?s)\$\.seed.*--set train.epoch=5"):
            from_file_content(saved, "m.h5", ["train.epoch=5"])

    def test_other_problems_than_an_override_are_located_in_their_file(self, files):
        files(spec=json.dumps(classifier(loss="nonsense"), indent=1))
        first, second = problems_of("spec.json", ["train.epochs=0"])
        assert first.startswith("spec.json:20:10: $.loss")
        assert second.startswith("--set train.epochs=0: must be greater than 0")


class TestMapping:
    def test_values_are_those_of_the_mapping_and_text_stays_text(self):
        overrides = {"train.epochs": 3, "optimizer.learning_rate": 0.25, "data.target": "7"}
        document = read_spec(classifier(data=csv_data()), overrides)
        assert document.spec.train.epochs == 3
        assert document.spec.data.target == "7"
        expected = ("train.epochs=3", "optimizer.learning_rate=0.25", 'data.target="7"')
        assert document.overrides == expected

    def test_a_built_model_has_them(self):
        data = blobs()
        model = nnreg.build(classifier(), overrides={"model.layers.0.units": 7}, data=data)
        assert model.parameters["layers/0/bias"].shape == (7,)

    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            ({"train.epochs": {1}}, r"--set train.epochs=\{1\}: not expressible as JSON"),
            ({"train.l2": float("nan")}, "--set train.l2=nan: not expressible as JSON"),
            ({5: 1}, "overrides: 5 is not a path"),
            ({"train.epoch": 1}, "--set train.epoch=1: unknown key 'epoch'"),
        ],
    )
    def test_what_they_cannot_be_is_an_error(self, overrides, message):
        with pytest.raises((UsageError, SpecError), match=message):
            read_spec(classifier(), overrides)


@pytest.mark.parametrize("given", [5, None, (5,), [("train.epochs", 5)], {5: 1}, {"a=b": 1}])
def test_what_is_not_an_override_is_refused_with_an_example(given):
    with pytest.raises(UsageError, match=r"^overrides: .* such as 'train\.epochs"):
        nnreg.build(classifier(), overrides=given)
