"""The JSON Schema of sweep files accepts what the reader accepts, and refuses what it refuses."""

import functools
import json

import jsonschema
import pytest

from nnreg.errors import SpecError
from nnreg.spec.jsonc import loads
from nnreg.sweeps.json_schema import sweep_schema
from nnreg.sweeps.plan import plan_sweep
from tests.helpers.doc_runner import blocks
from tests.helpers.paths import ROOT
from tests.helpers.sweeps import RATES, UNITS, write_spec

SPACE = {UNITS: {"log_integers": [4, 8]}, RATES: {"log": [0.001, 0.1]}, "loss": ["cross_entropy"]}


@functools.cache
def validator():
    return jsonschema.Draft202012Validator(sweep_schema())


def reads(path, sweep):
    """Return whether a sweep file is read; its directory has a spec and a sweep to extend."""
    write_spec(path)
    (path / "base.json").write_text('{"$schema": "./b.json", "spec": "spec.json", "seeds": 3}')
    (path / "s.json").write_text(json.dumps(sweep))
    try:
        plan_sweep(path / "s.json", check=False)
    except SpecError:
        return False
    return True


def inline(path, **changes):
    """Return a sweep with the spec itself in it, with some of its sections changed."""
    spec = json.loads(write_spec(path).read_text()) | changes
    return {"spec": {name: value for name, value in spec.items() if value is not None}}


def test_it_is_a_valid_json_schema_and_that_of_the_command(nnreg):
    jsonschema.Draft202012Validator.check_schema(validator().schema)
    assert json.loads(nnreg("schema", "--sweep")[1]) == validator().schema


@pytest.mark.parametrize(
    "sweep",
    [
        {},
        {"$schema": "./sweep.schema.json"},
        {"seeds": [3, 4], "metric": "val_loss", "overrides": {"train.epochs": 2, "seed": 4}},
        {"grid": {UNITS: [4, 8], "model.layers.0.activation": [{"type": "leaky_relu"}]}},
        {"points": [{UNITS: 4}, {UNITS: 8, RATES: 0.1}]},
        {"random": {"trials": 2, "space": SPACE, "seed": 1}},
        {"random": {"trials": 2, "space": {RATES: {"uniform": [0.1, 0.2]}}}},
        {"optuna": {"trials": 2, "space": {UNITS: {"integers": [4, 8]}}, "prune": "none"}},
        {"extends": "base.json", "spec": "spec.json"},
        {"seeds": "${env:SEEDS:-2}"},
    ],
)
def test_what_is_read_is_accepted(tmp_path, sweep):
    sweep = {"spec": "spec.json", **sweep}
    assert reads(tmp_path, sweep)
    validator().validate(sweep)


def test_a_sweep_that_extends_another_needs_no_spec(tmp_path):
    sweep = {"extends": "base.json", "grid": {UNITS: [4, 8]}}
    assert reads(tmp_path, sweep)
    validator().validate(sweep)


def test_a_spec_within_it_is_accepted_where_overrides_complete_it(tmp_path):
    sweep = inline(tmp_path, loss=None, seed="${env:SEED:-4}") | {
        "overrides": {"loss": "cross_entropy"}
    }
    sweep["spec"]["$schema"] = "./nnreg.schema.json"
    assert reads(tmp_path, sweep)
    validator().validate(sweep)


def test_a_mistake_in_a_spec_within_it_is_refused(tmp_path):
    for sweep in (inline(tmp_path, loss="crss"), inline(tmp_path, sede=1)):
        assert not reads(tmp_path, sweep)
        assert not validator().is_valid(sweep)


@pytest.mark.parametrize(
    "sweep",
    [
        {"sead": 3},
        {"spec": 3},
        {"spec": ""},
        {"spec": {"extends": "spec.json"}},
        {"seeds": 0},
        {"seeds": [-1]},
        {"overrides": [1]},
        {"grid": {}},
        {"grid": {UNITS: 4}},
        {"grid": {UNITS: []}},
        {"points": []},
        {"points": [{}]},
        {"points": {UNITS: [4]}},
        {"random": {"space": SPACE}},
        {"random": {"trials": 2}},
        {"random": {"trials": 2, "space": SPACE, "prune": "none"}},
        {"random": {"trials": 2, "space": {RATES: 3}}},
        {"random": {"trials": 2, "space": {RATES: {}}}},
        {"random": {"trials": 2, "space": {RATES: {"logs": [1, 2]}}}},
        {"random": {"trials": 2, "space": {RATES: {"log": [0, 1]}}}},
        {"random": {"trials": 2, "space": {RATES: {"log": [1, 2, 3]}}}},
        {"random": {"trials": 2, "space": {UNITS: {"integers": [1.5, 2.5]}}}},
        {"random": {"trials": 2, "space": {UNITS: {"log_integers": [0, 8]}}}},
        {"random": {"trials": 2, "space": {RATES: {"log": [1, 2], "uniform": [1, 2]}}}},
        {"optuna": {"trials": 2, "space": SPACE, "prune": "all"}},
        {"grid": {UNITS: [4]}, "points": [{UNITS: 4}]},
        {"grid": {UNITS: [4]}, "random": {"trials": 2, "space": SPACE}},
        {"random": {"trials": 2, "space": SPACE}, "optuna": {"trials": 2, "space": SPACE}},
    ],
)
def test_what_is_not_read_is_refused(tmp_path, sweep):
    sweep = {"spec": "spec.json", **sweep}
    assert not reads(tmp_path, sweep)
    assert not validator().is_valid(sweep)


def test_a_sweep_without_a_spec_is_refused(tmp_path):
    assert not reads(tmp_path, {"grid": {UNITS: [4]}})
    assert not validator().is_valid({"grid": {UNITS: [4]}})


def test_the_sweep_files_of_the_documentation_are_accepted():
    page = (ROOT / "docs/howto/sweeps.md").read_text()
    sweeps = [loads(one.code) for one in blocks(page) if one.language == "json"]
    assert len(sweeps) > 3
    for sweep in sweeps:
        validator().validate(sweep)
