"""Validation of a spec: strict, with all problems at once and a fix in each message."""

import json
from importlib import resources

import jsonschema
import pytest

from nnreg import SpecError, UsageError
from nnreg.registry.registry import installed
from nnreg.spec.document import read_spec
from nnreg.spec.validation import to_json
from tests.helpers.schemas import validator
from tests.helpers.specs import classifier, csv_data, regressor

NINE = {
    "sede": 1,
    "data": csv_data(source="cvs", split={"validation": 1.5}),
    "model": {
        "layers": [
            {"type": "dense", "units": "ten", "activation": "rleu"},
            {"type": "dropout", "rate": True},
            {"type": "residual", "layers": [{"type": "dense", "units": 0}]},
        ]
    },
    "loss": "cross_entropi",
    "train": {"epochs": 1.5},
    "optimizer": "adam",
}


def problems_of(spec, overrides=()):
    with pytest.raises(SpecError) as caught:
        read_spec(spec, overrides)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_a_single_override_may_be_given_as_text():
    assert read_spec(classifier(), "train.epochs=7").spec.train.epochs == 7


def test_a_missing_option_is_reported_with_its_full_path():
    spec = classifier(data={}, model={"layers": [{"type": "residual", "layers": ["dense"]}]})
    with pytest.raises(SpecError) as caught:
        read_spec(spec)
    assert {problem.path for problem in caught.value.problems} == {
        "$.data.source", "$.data.path", "$.model.layers[0].layers[0].units"
    }  # fmt: skip


def test_nine_mistakes_are_reported_at_once_each_with_path_and_fix():
    assert problems_of(NINE) == {
        "$.sede": "unknown key 'sede'; did you mean 'seed'?",
        "$.data.source": "no source 'cvs'; did you mean 'csv'?",
        "$.data.split.validation": "must be less than 1 or a valid string, found 1.5",
        "$.model.layers[0].units": "must be a valid integer or 'classes', found \"ten\"",
        "$.model.layers[0].activation": "no activation 'rleu'; did you mean 'relu'?",
        "$.model.layers[1].rate": "must be a valid number, found true",
        "$.model.layers[2].layers[0].units": "must be greater than 0 or 'classes', found 0",
        "$.loss": "no loss 'cross_entropi'; did you mean 'cross_entropy'?",
        "$.train.epochs": "must be a valid integer, found 1.5",
    }


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"metrics": "accuracy"}, "$.metrics", 'valid array or an object, found "accuracy"; write'),
        ({"metrics": [["accuracy"]]}, "$.metrics[0]", "must be the name of a metric or"),
        ({"model": {"layers": []}}, "$.model.layers", "must not be empty, found []"),
        ({"model": None}, "$.model", "found null"),
        ({"seed": -1}, "$.seed", "must be greater than or equal to 0, found -1"),
        ({"seed": 10**400}, "$.seed", "must be less than"),
        ({"loss": {"delta": 1}}, "$.loss", "must be the name of a loss or"),
        ({"loss": {"type": "huber", "delta": "1"}}, "$.loss.delta", "must be a valid number"),
        ({"optimizer": {"type": "sgd", "momentum": 1}}, "$.optimizer.momentum", "less than 1"),
        ({"train": {"clip_norm": 0}}, "$.train.clip_norm", "must be greater than 0, found 0"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_its_path(change, path, message):
    found = problems_of(classifier(**change))
    assert list(found) == [path]
    assert message in found[path]


def test_null_for_a_list_is_not_to_be_written_in_one():
    found = problems_of(classifier(metrics=None))
    assert found == {"$.metrics": "must be a valid array or an object, found null"}


def test_a_value_that_a_component_refuses_is_reported_with_its_path():
    layer = {"type": "dense", "units": 2, "initializer": {"type": "uniform", "low": 2, "high": 1}}
    found = problems_of(regressor(model={"layers": [layer]}))
    assert found == {"$.model.layers[0].initializer": "low (2.0) must not be above high (1.0)"}


def test_held_out_fractions_must_leave_something_to_train_on():
    data = csv_data(split={"validation": 0.6, "test": 0.5})
    assert "nothing to train on" in problems_of(classifier(data=data))["$.data.split"]


def test_all_missing_sections_are_reported():
    assert set(problems_of({})) == {"$.model", "$.loss", "$.optimizer"}


@pytest.mark.parametrize("spec", [[], 3, "x"])
def test_a_file_without_a_json_object_is_refused(spec, tmp_path):
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(SpecError, match="must be a JSON object"):
        read_spec(tmp_path / "spec.json")


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.json: cannot read"):
        read_spec(tmp_path / "nowhere.json")


def test_a_name_is_short_for_a_component_without_options():
    short = read_spec(classifier(optimizer="adam")).spec
    long = read_spec(classifier(optimizer={"type": "adam"})).spec
    assert short == long


def test_overrides_set_values_in_objects_and_lists():
    overrides = ["train.epochs=7", "model.layers[0].units=3", "model.layers.1.rate=0.5",
                 "loss=huber", "train.early_stopping.patience=2"]  # fmt: skip
    spec = read_spec(classifier(), overrides).spec
    assert spec.train.epochs == 7
    assert spec.model.layers[0].units == 3
    assert spec.model.layers[1].rate == 0.5
    assert type(spec.loss).__name__ == "Huber"
    assert spec.train.early_stopping.patience == 2


def test_an_override_with_a_mistyped_key_suggests_the_nearest():
    assert "did you mean 'epochs'" in problems_of(classifier(), ["train.epoch=5"])["$.train.epoch"]


@pytest.mark.parametrize(
    "override",
    ["train.epochs", "=5", "model.layers.9.units=3", "model.layers.x.units=3", "train.epochs.x=1"],
)
def test_an_override_of_a_path_that_does_not_exist_is_refused(override):
    with pytest.raises(UsageError, match="--set"):
        read_spec(classifier(), [override])


def test_reading_does_not_modify_the_mapping():
    tree = classifier()
    read_spec(tree, ["train.epochs=9"])
    assert tree == classifier()


def test_a_document_lists_the_components_that_it_names():
    found = set(read_spec(classifier()).components)
    assert {("layer", "dense"), ("activation", "tanh"), ("loss", "cross_entropy")} <= found


def test_components_written_as_json_read_back_equal():
    spec = read_spec(classifier(data=csv_data())).spec
    tree = to_json(spec, installed())
    assert read_spec(tree).spec == spec


class TestSchema:
    def test_the_schema_is_valid_json_schema(self):
        jsonschema.Draft202012Validator.check_schema(validator().schema)

    @pytest.mark.parametrize("spec", [classifier(data=csv_data()), regressor()])
    def test_the_schema_accepts_what_the_reader_accepts(self, spec):
        validator().validate({"$schema": "./nnreg.schema.json", **spec})

    def test_the_schema_accepts_a_spec_that_extends_and_names_variables(self):
        validator().validate({"extends": "base.json", "train": {"epochs": 3}})
        train = {"epochs": "${env:EPOCHS:-10}", "l2": "${env:L2}", "shuffle": "${env:SHUFFLE}"}
        spec = classifier(train=train, loss="${env:LOSS}", optimizer={"type": "${env:NAME}"})
        assert not validator().is_valid(spec)  # the type decides which options are valid
        validator().validate({**spec, "optimizer": "adam", "extends": ["a.json"]})

    @pytest.mark.parametrize(
        "change",
        [
            {"sede": 1},
            {"loss": "cross_entropi"},
            {"loss": {"type": "huber", "delta": 0}},
            {"model": {"layers": [{"type": "dense"}]}},
            {"model": {"layers": ["dense"]}},
            {"train": {"epochs": 0}},
            {"train": {"epochs": "many"}},
        ],
    )
    def test_the_schema_rejects_what_the_reader_rejects(self, change):
        assert not validator().is_valid(classifier(**change))
        with pytest.raises(SpecError):
            read_spec(classifier(**change))

    def test_the_schema_has_the_default_of_every_option_that_is_not_required(self):
        data = validator().schema["$defs"]["Data"]
        assert data["properties"]["columns"]["default"] == {}
        given = {name for name, body in data["properties"].items() if "default" in body}
        assert given == data["properties"].keys() - set(data["required"])

    def test_every_component_is_in_the_schema(self):
        for entry in installed():
            consts = [
                branch["properties"]["type"]["oneOf"][0]["const"]
                for branch in validator().schema["$defs"][entry.kind]["anyOf"]
                if "type" in branch.get("properties", ())
            ]
            assert entry.name in consts


def test_the_package_has_a_py_typed_marker():
    assert resources.files("nnreg").joinpath("py.typed").is_file()
