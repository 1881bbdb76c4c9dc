"""A checkpoint records the origin of its components, and detects different behaviour."""

import json
import math
import sys
import types
from dataclasses import dataclass, replace

import h5py
import numpy as np
import pytest

import nnreg
from nnreg import (
    Activation,
    CheckpointError,
    Kernels,
    MissingPluginError,
    PluginError,
)
from nnreg.checkpoint.file_format import read_checkpoint
from nnreg.checkpoint.save_load import from_file_content, load, to_file_content
from nnreg.cli.app import main
from nnreg.errors import ComponentError
from nnreg.interfaces import LayerBuilder
from nnreg.provenance import fingerprints
from nnreg.registry.registry import installed
from nnreg.runs.run import prepare_resume
from nnreg.spec.document import read_spec
from tests.checkpoint.plugin_of_every_kind import SPEC, best, recorded, registry
from tests.helpers.specs import CSV, blobs, classifier


def test_a_checkpoint_records_the_origin_and_the_fingerprint_of_each_component(saved):
    found = recorded(saved)
    assert found.keys() == {"dense", "bent", "flat", "residual", "twist", "softmax", "surprise",
                            "walk", "share", "pull", "clip", "blur", "csv",
                            "ranked"}  # fmt: skip
    for name in ("bent", "flat", "twist", "surprise", "walk", "share", "ranked"):
        assert (found[name]["distribution"], found[name]["version"]) == ("nnreg-all", "1.0")
    assert found["csv"]["probes"] == {}
    assert list(found["dense"]["probes"]) == ["$.model.layers[0]", "$.model.layers[2]"]
    assert list(found["twist"]["probes"]) == ["$.model.layers[1].layers[0]"]
    (numbers,) = found["bent"]["probes"].values()
    assert numbers.keys() == {"output", "gradient"}
    x = fingerprints.fixed_input((12,))
    assert numbers["output"] == pytest.approx(np.where(x > 0, x, 0.5 * x).tolist(), abs=1e-7)


def test_the_records_are_small(saved):
    for component in recorded(saved).values():
        assert len(json.dumps(component)) < 2000


def test_every_built_in_with_numeric_outputs_has_a_fingerprint():
    base = classifier()
    dense = base["model"]["layers"][0]
    for entry in installed():
        numbers = ("activation", "initializer", "loss", "optimizer", "schedule", "metric")
        if entry.plugin != "nnreg" or entry.kind not in numbers:
            continue
        data, spec = blobs(), {**base, "metrics": []}
        value = entry.name
        if (entry.kind, entry.name) == ("initializer", "constant"):
            value = {"type": "constant", "value": 1}
        if entry.name == "top_k_accuracy":
            value = {"type": entry.name, "k": 1}
        if entry.kind in ("activation", "initializer"):
            spec["model"] = {"layers": [{**dense, entry.kind: value}, base["model"]["layers"][2]]}
        elif entry.kind in ("metric", "loss") and not entry.cls.classification:
            units = {"gaussian_nll": 2, "quantile": 3, "triplet_margin": 3}.get(entry.name, 1)
            bounded = entry.kind == "loss" and entry.cls.input_range == (0, np.inf)
            activation = "softplus" if bounded else "identity"
            layer = {"type": "dense", "units": units, "activation": activation}
            spec["model"] = {"layers": [layer]}
            spec["loss"], data = "mean_squared_error", (data[0], np.abs(data[0][:, 0]))
        if entry.kind in ("loss", "optimizer", "schedule"):
            spec[entry.kind] = value
        if entry.cls.kind == "loss" and not entry.cls.takes_target:
            layers = [{"type": "dense", "units": 3, "name": "own"},
                      {"type": "dense", "units": 1, "name": "other"}]  # fmt: skip
            spec["model"] = {"layers": layers}
            spec["loss"] = {"own": entry.name, "other": "mean_squared_error"}
        if entry.name == "binary_cross_entropy":
            layer = {"type": "dense", "units": "classes", "activation": "sigmoid"}
            spec["model"] = {"layers": [layer]}
        if entry.name == "contrastive":
            layer = {"type": "dense", "units": 1, "activation": "softplus"}
            spec["model"], data = {"layers": [layer]}, (data[0], data[0][:, 0] > 0)
        if entry.name == "ctc":  # of the classes 1 and 2 in four steps
            layer = {"type": "dense", "units": 3, "activation": "softmax"}
            spec["model"] = {"layers": [layer]}
            data = np.zeros((6, 4, 2)), np.tile([1, 2], (6, 1))
        if entry.name == "nll":
            layer = {"type": "dense", "units": "classes", "activation": "log_softmax"}
            spec["model"] = {"layers": [layer]}
        if entry.kind == "metric":
            spec["metrics"] = [value]
        named = {(c["kind"], c["name"]): c for c in nnreg.build(spec, data=data).components}
        assert named[entry.kind, entry.name]["probes"], entry


def test_no_fingerprint_of_a_built_in_of_the_same_version_is_computed(saved, monkeypatch):
    computed = []

    def record(component, *arguments, compute=fingerprints._fingerprint):
        computed.append(type(component).__name__)
        return compute(component, *arguments)

    monkeypatch.setattr(fingerprints, "_fingerprint", record)
    load(best(saved), registry=registry())
    assert sorted(computed) == [
        "Bent",
        "Blur",
        "Clip",
        "Flat",
        "Pull",
        "Ranked",
        "Share",
        "Surprise",
        "Twist",
        "Walk",
    ]


@pytest.mark.parametrize("version", ["1.0", "unknown"])
@pytest.mark.parametrize(
    "kind",
    [
        "activation",
        "initializer",
        "layer",
        "loss",
        "optimizer",
        "metric",
        "regularizer",
        "constraint",
        "augmentation",
        "encoder",
    ],
)
def test_a_formula_that_changed_under_the_same_version_is_rejected(
    tmp_path, monkeypatch, kind, version
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    nnreg.run(read_spec(SPEC, registry=registry(version)), out="run")
    load(best(tmp_path / "run"), registry=registry(version))
    changed = registry(version, kind)
    with pytest.raises(CheckpointError) as caught:
        load(best(tmp_path / "run"), registry=changed)
    (line,) = str(caught.value).splitlines()[1:-1]
    assert line.startswith(f"  {kind} '")
    assert f"of nnreg-all {version}, changed under the same version: its " in line
    load(best(tmp_path / "run"), registry=changed, allow_changed=True)


def test_a_module_beside_a_plugin_file_that_changed_is_detected(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    helper = types.ModuleType("own_formulas")
    monkeypatch.setitem(sys.modules, "own_formulas", helper)
    helper.f = lambda x: 1.0 * x
    (tmp_path / "own.py").write_text(
        "from dataclasses import dataclass\nimport own_formulas\n"
        "from nnreg import Activation, hookimpl\n@dataclass(frozen=True)\n"
        "class Own(Activation):\n    def formula(self, x):\n        return own_formulas.f(x)\n"
        "@hookimpl\ndef nnreg_activations():\n    return {'own': Own}\n"
    )
    with_own = registry()
    with_own.add_file(tmp_path / "own.py")
    (tmp_path / "data.csv").write_text(CSV)
    layers = [{"type": "dense", "units": 3, "activation": "own"}, *SPEC["model"]["layers"][2:]]
    spec = {**SPEC, "model": {"layers": layers}}
    nnreg.run(read_spec(spec, registry=with_own), out="run")
    load(best(tmp_path / "run"), registry=with_own)
    helper.f = lambda x: 5 * x * x - 3
    with pytest.raises(
        CheckpointError, match=r"'own' of own\.py .* changed under the same version"
    ):
        load(best(tmp_path / "run"), registry=with_own)


def test_another_version_with_the_same_behaviour_loads(saved):
    old, new = (load(best(saved), registry=registry(v)) for v in ("1.0", "2.0"))
    assert old.network.vector.tobytes() == new.network.vector.tobytes()
    components = {c["name"]: c for c in to_file_content(new).document["components"]}
    assert components["bent"]["version"] == "2.0"
    assert components["bent"]["probes"] == recorded(saved)["bent"]["probes"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("activation", "activation 'bent' of nnreg-all 2.0, saved with nnreg-all 1.0: its output "
         "differs by up to 0.672, 21.27% of 3.16 (at $.model.layers[0].activation)"),
        ("initializer", "initializer 'flat' of nnreg-all 2.0, saved with nnreg-all 1.0: its draw"),
        ("layer", "layer 'twist' of nnreg-all 2.0, saved with nnreg-all 1.0: its output differs by "
         "up to "),
        ("loss", "loss 'surprise' of nnreg-all 2.0, saved with nnreg-all 1.0: its value differs by "
         "up to 0.25"),
        ("optimizer", "optimizer 'walk' of nnreg-all 2.0, saved with nnreg-all 1.0: its change "
         "differs by up to 0.01"),
        ("metric", "metric 'share' of nnreg-all 2.0, saved with nnreg-all 1.0: its value differs "
         "by up to 0.25"),
    ],
)  # fmt: skip
def test_another_version_that_behaves_differently_is_rejected(saved, kind, text):
    changed = registry("2.0", kind)
    with pytest.raises(CheckpointError) as caught:
        load(best(saved), registry=changed)
    head, *lines, advice = str(caught.value).splitlines()
    assert (
        head == f"{best(saved)}: components behave differently from when this checkpoint was saved:"
    )
    assert len(lines) == 1
    assert text in lines[0]
    assert "--allow-changed" in advice
    load(best(saved), registry=changed, allow_changed=True)


def test_a_run_resumes_with_a_changed_plugin_if_that_is_allowed(saved):
    changed = registry("2.0", "optimizer")
    overrides = ["train.epochs=3"]
    with pytest.raises(CheckpointError, match="optimizer 'walk'"):
        prepare_resume(saved, overrides=overrides, registry=changed)
    prepare_resume(saved, overrides=overrides, registry=changed, allow_changed=True).train()
    assert recorded(saved)["walk"]["version"] == "2.0"
    load(best(saved), registry=changed)


@pytest.mark.parametrize("command", [["evaluate"], ["predict"], ["resume"]])
def test_the_commands_take_allow_changed(saved, monkeypatch, capsys, command):
    monkeypatch.setattr("nnreg.registry.registry.discover", lambda _: registry("2.0", "activation"))
    arguments = [*command, str(saved), *(["data.csv"] if command == ["predict"] else [])]
    for more, code in (([], 1), (["--allow-changed"], 0)):
        with pytest.raises(SystemExit) as done:
            main([*arguments, *more])
        assert done.value.code == code, capsys.readouterr().err
    assert "its output differs by up to" in capsys.readouterr().err


def test_overrides_are_not_a_change_of_a_plugin(saved):
    changes = ['optimizer={"type":"walk","learning_rate":0.5}', "model.layers.1.layers.0.angle=3"]
    model = load(best(saved), changes, registry("2.0"))
    assert model.spec.optimizer.learning_rate == 0.5


def test_rounding_is_not_a_change(saved):
    checkpoint = read_checkpoint(best(saved))
    document = json.loads(json.dumps(checkpoint.document))
    for component in document["components"]:
        for values in component["probes"].values():
            for name, numbers in values.items():
                values[name] = [number * (1 + 1e-7) for number in numbers]
    from_file_content(replace(checkpoint, document=document), "m.h5", (), registry("2.0"))


def test_a_component_without_a_fingerprint_is_saved_and_loaded(tmp_path):
    @dataclass(frozen=True)
    class NoSmallBatches(Activation):
        def forward(self, x):
            if len(x) < 4:
                raise ValueError("too few")
            return x, lambda dy: dy

    spec = classifier()
    spec["model"]["layers"][0]["activation"] = "picky"
    own = registry(picky=NoSmallBatches)
    model = nnreg.build(read_spec(spec, registry=own), data=blobs())
    nnreg.save(model, tmp_path / "m.h5")
    load(tmp_path / "m.h5", registry=registry("2.0", picky=NoSmallBatches))


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1.0\x1b[2J"},
        {"version": 1.0},
        {"version": "9" * 1000},
        {"name": None},
        {"kind": ["loss"]},
        {"probes": []},
        {"probes": {"$.loss": [1.0]}},
        {"probes": {"$.loss": {"value": 1.0}}},
        {"probes": {"$.loss": {"value": [True]}}},
        {"probes": {"$.loss": {"value": ["1"]}}},
        {"probes": {"$.loss": {"value": [float("nan")]}}},
        {"probes": {"$.loss": {"value": [10**400]}}},
    ],
)
def test_the_record_of_a_component_is_validated(saved, change):
    checkpoint = read_checkpoint(best(saved))
    document = json.loads(json.dumps(checkpoint.document))
    document["components"][0].update(change)
    with pytest.raises((CheckpointError, PluginError)) as caught:
        from_file_content(replace(checkpoint, document=document), "m.h5", (), registry("2.0"))
    assert str(caught.value).replace("\n", "").isprintable()
    assert len(str(caught.value)) < 200


def test_a_fingerprint_at_a_path_that_the_spec_does_not_have_is_a_change(saved):
    checkpoint = read_checkpoint(best(saved))
    document = json.loads(json.dumps(checkpoint.document))
    bent = next(c for c in document["components"] if c["name"] == "bent")
    bent["probes"] = {"__class__\n": {"output": [1.0]}}
    with pytest.raises(CheckpointError, match=r"it no longer accepts .* \(at the spec\)"):
        from_file_content(replace(checkpoint, document=document), "m.h5", (), registry("2.0"))


def test_without_the_plugin_a_file_can_be_inspected_and_its_weights_read(saved, capsys):
    with pytest.raises(MissingPluginError, match=r"pip install nnreg-all==1\.0"):
        nnreg.load(best(saved))
    with pytest.raises(SystemExit) as done:
        main(["inspect", str(saved)])
    assert done.value.code == 0
    assert "nnreg-all 1.0" in capsys.readouterr().out
    weight = load(best(saved), registry=registry()).parameters["layers/0/weight"]
    name = "parameters/layers/0/weight"
    assert np.array_equal(read_checkpoint(best(saved)).arrays[name], weight)
    with h5py.File(best(saved)) as file:
        assert np.array_equal(file[name], weight)


def test_the_fixed_inputs_do_not_change():
    """Existing files have fingerprints of these inputs."""
    expected = [0.222912, -1.114562, 2.006211, -0.012422, -2.687371, 0.693582]
    assert fingerprints.fixed_input((6,)).tolist() == pytest.approx(expected, abs=1e-6)


def test_a_fingerprint_allocates_no_input_of_the_size_that_a_file_declares(monkeypatch):
    sizes = []

    def reject(layer, shape, classes, kernels):
        sizes.append(math.prod(shape))
        raise ComponentError("too small")

    monkeypatch.setattr(fingerprints, "_run", reject)
    plan = LayerBuilder("$", 2)
    plan.layer("layers/0", installed().find("layer", "flatten").cls(), (30_000, 30_000, 1))
    (layer, inner) = plan.children["layers/0"]
    assert fingerprints._layer(layer, inner, Kernels()) == {}
    assert 1_000 < max(sizes) <= fingerprints.MAX_VALUES
