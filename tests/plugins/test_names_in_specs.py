"""Names by provider in a spec: which plugin's component is used, and how it is written."""

import copy
import json
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import nnreg
from nnreg import SpecError, builtin
from nnreg.builtin.activations import Relu, Tanh
from nnreg.data.loading import source_entry
from nnreg.errors import NnregWarning
from nnreg.registry.loading import Selection
from nnreg.registry.registry import discover
from nnreg.spec.document import read_spec
from nnreg.spec.json_schema import json_schema
from nnreg.spec.resolve import resolved
from nnreg.spec.validation import to_json
from tests.helpers.fake_distributions import swish


def network(*activations, **sections):
    layers = [{"type": "dense", "units": 3, "activation": one} for one in activations]
    return {"model": {"layers": [*layers, {"type": "dense", "units": 1}], "dtype": "float64"},
            "loss": "mean_squared_error", "optimizer": "sgd", "train": {"epochs": 2},
            **sections}  # fmt: skip


def classes(document):
    return [layer.activation.__class__ for layer in document.spec.model.layers[:-1]]


@dataclass(frozen=True)
class NewBuiltIn(Relu):
    """A component that a later version of nnreg may have."""


@pytest.fixture
def built_in_swish(monkeypatch):
    """Let a new built-in have the name of the plugins' activation, as a later version might."""

    @nnreg.hookimpl
    def nnreg_activations(before=builtin.nnreg_activations):
        return {**before(), "swish": NewBuiltIn}

    monkeypatch.setattr(builtin, "nnreg_activations", nnreg_activations)


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found():
    return discover(Selection())


def test_a_built_in_that_an_installed_plugin_shadows_is_used_with_one_warning(
    built_in_swish, install
):
    install("nnreg-swish", swish())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        registry = found()
        read_spec(network("relu"), registry=registry)
        assert classes(read_spec(network("nnreg:swish"), registry=registry)) == [NewBuiltIn]
    with pytest.warns(NnregWarning) as notes:
        document = read_spec(network("swish", "swish", {"type": "swish"}), registry=registry)
    assert [str(note.message) for note in notes] == [
        f"activation 'swish' means that of nnreg {nnreg.__version__} "
        '("nnreg:swish"), not that of nnreg-swish 1.2 ("nnreg-swish:swish"); the names in '
        "parentheses mean one of them in every spec"
    ]
    assert classes(document) == [NewBuiltIn] * 3
    read_spec(document, ["train.epochs=3"])  # no second warning


def test_the_warning_precedes_an_error_in_the_options_of_the_other(built_in_swish, install):
    install("nnreg-swish", swish())
    registry = found()
    shadowed = pytest.warns(NnregWarning, match="'swish' means that of nnreg")
    with shadowed, pytest.raises(SpecError, match="unknown key 'beta'"):
        read_spec(network({"type": "swish", "beta": 2}), registry=registry)


def test_requires_asks_for_the_names_of_a_distribution(built_in_swish, install):
    install("nnreg-swish", swish())
    document = read_spec(network("swish", requires=["nnreg_swish>=1"]), registry=found())
    assert classes(document) != [NewBuiltIn]
    assert to_json(document.spec, document.registry)["model"]["layers"][0]["activation"] == {
        "type": "swish",
        "beta": 1.0,
    }


def test_a_plugin_file_precedes_a_built_in_and_an_installed_plugin(
    built_in_swish, install, directory
):
    install("nnreg-swish", swish())
    (directory / "mine.py").write_text(swish())
    registry = found()
    registry.add_file(directory / "mine.py")
    document = read_spec(network("swish", "nnreg:swish", "NNREG-SWISH:swish"), registry=registry)
    assert [one.provider.split()[0] for one in document.components.values()
            if one.name == "swish"] == ["mine.py", "nnreg", "nnreg-swish"]  # fmt: skip


def test_an_nnregfile_precedes_a_built_in(built_in_swish, directory):
    (directory / "nnregfile.py").write_text(swish())
    (directory / "spec.json").write_text(json.dumps(network("swish", "nnregfile.py:swish")))
    with pytest.warns(NnregWarning, match="is loaded for this spec"):
        document = read_spec("spec.json", registry=found(), run_plugin_file=True)
    first, second = classes(document)
    assert first is second is not NewBuiltIn


def test_what_a_program_registers_precedes_a_built_in(registering):
    @dataclass(frozen=True)
    class Mine(Relu):
        pass

    nnreg.register("tanh", Mine)
    document = read_spec(network("tanh", "nnreg:tanh", f"{Path(__file__).name}:tanh"))
    assert classes(document) == [Mine, Tanh, Mine]
    assert read_spec(document, ["seed=3"]).spec.model == document.spec.model


def test_two_files_that_have_a_name_are_an_error_with_the_qualified_names(directory):
    registry = found()
    for name in ("a", "b"):
        (directory / f"{name}.py").write_text(swish())
        registry.add_file(directory / f"{name}.py")
    with pytest.raises(SpecError, match=r'by both a\.py .* and b\.py .*"a\.py:swish" or "b\.py:sw'):
        read_spec(network("swish"), registry=registry)
    assert read_spec(network("b.py:swish"), registry=registry)


def test_two_files_of_one_name_cannot_be_distinguished(directory):
    registry = found()
    for name in ("a", "b"):
        (directory / name).mkdir()
        (directory / name / "mine.py").write_text(swish())
        registry.add_file(directory / name / "mine.py")
    with pytest.raises(SpecError, match=r"block one with nnreg -p no:.*mine\.py …, or give it"):
        read_spec(network("mine.py:swish"), registry=registry)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nnreg-swush:swish", "as no plugin of 'nnreg-swush' provides any; did you mean "
                              "'nnreg-swish:swish'?"),
        ("nnreg-swish:swich", "no activation 'nnreg-swish:swich'; did you mean 'nnreg-swish:swi"),
        ("nnreg:swish", "no activation 'nnreg:swish'; did you mean 'nnreg-swish:swish'?"),
        ("nnreg-bad:swish", r"nnreg-bad \(failed: ZeroDivisionError"),
        ("swich", "no activation 'swich'; did you mean 'swish'?"),
        ("a:b:swish", "no plugin of 'a:b' provides any"),
        (":relu", "no activation ':relu'"),
        ("nnreg:", "no activation 'nnreg:'"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_an_error_with_a_suggestion(install, name, message):
    install("nnreg-swish", swish())
    install("nnreg-bad", "1 / 0", plugin="bad")
    with pytest.raises(SpecError, match=message):
        read_spec(network(name), registry=found())


def test_a_qualified_name_is_accepted_for_every_kind_and_by_set(directory):
    spec = network({"type": "nnreg:elu", "alpha": 2})
    spec["loss"], spec["optimizer"] = "nnreg:huber", {"type": "nnreg:sgd", "momentum": 0.5}
    spec["metrics"], spec["schedule"] = ["nnreg:r2"], "nnreg:cosine"
    spec["model"]["layers"][1]["type"] = "nnreg:dense"
    spec["train"]["kernels"] = "nnreg:numpy"
    document = read_spec(spec, ["optimizer=nnreg:adam", "optimizer.learning_rate=0.5"])
    assert document.spec.optimizer.learning_rate == 0.5
    x = np.ones((4, 2))
    model = nnreg.run(document, data=(x, x[:, 0]))
    assert "r2" in model.history[-1]
    tree = to_json(document.spec, document.registry)
    assert ":" not in json.dumps(tree["model"]["layers"][1]["type"])


def test_a_resolved_spec_keeps_the_meaning_without_the_plugin_file(built_in_swish, directory):
    (directory / "mine.py").write_text(swish())
    registry = found()
    registry.add_file(directory / "mine.py")
    tree = resolved(read_spec(network("swish", "nnreg:swish"), registry=registry), directory)
    names = [layer["activation"] for layer in tree["model"]["layers"][:2]]
    assert names == [{"type": "mine.py:swish", "beta": 1.0}, "nnreg:swish"]
    with pytest.raises(SpecError, match=r"no plugin of 'mine\.py' provides any"):
        read_spec(tree, registry=found())
    assert read_spec(tree, registry=registry)


def test_a_default_is_written_qualified_if_a_plugin_was_asked_for_its_name(directory):
    code = swish("constant").replace("Activation", "Schedule").replace("activations", "schedules")
    (directory / "mine.py").write_text(code)
    registry = found()
    registry.add_file(directory / "mine.py")
    document = read_spec(network("relu"), registry=registry)
    tree = to_json(document.spec, document.registry)
    assert tree["schedule"] == "nnreg:constant"
    again = read_spec(tree, registry=registry)
    assert again.spec == document.spec


def test_a_document_keeps_its_meaning_whatever_is_registered_later(registering, install):
    document = read_spec(network("tanh"))

    @dataclass(frozen=True)
    class Mine(Relu):
        pass

    nnreg.register("tanh", Mine)
    assert classes(read_spec(document, ["train.epochs=1"])) == [Tanh]
    assert classes(pickle.loads(pickle.dumps(document))) == [Tanh]
    assert classes(copy.deepcopy(document)) == [Tanh]
    assert classes(read_spec(network("tanh"))) == [Mine]
    assert classes(read_spec(network("tanh"), registry=document.registry)) == [Mine]


def test_two_metrics_of_one_name_are_recorded_under_their_qualified_names(directory):
    (directory / "mine.py").write_text(METRIC)
    registry = found()
    registry.add_file(directory / "mine.py")
    x, stopping = np.ones((4, 2)), {"monitor": "mine.py:r2", "patience": 1}
    spec = network("relu", metrics=["nnreg:r2", "r2"])
    spec["train"]["early_stopping"] = stopping
    model = nnreg.run(read_spec(spec, registry=registry), data=(x, np.arange(4.0)), out="run")
    assert {"nnreg:r2", "mine.py:r2"} <= model.history[-1].keys()
    assert nnreg.load("run", registry=registry).history.names == model.history.names


METRIC = """
from dataclasses import dataclass
from nnreg import Metric, hookimpl

@dataclass(frozen=True)
class Seven(Metric):
    def compute(self, y, t):
        return 7.0

@hookimpl
def nnreg_metrics():
    return {"r2": Seven}
"""


def test_the_source_of_a_plugin_file_precedes_others_of_a_suffix_and_of_a_name(directory):
    (directory / "mine.py").write_text(SOURCE)
    registry = found()
    assert source_entry(Path("a.csv"), registry).qualified == "nnreg:csv"
    registry.add_file(directory / "mine.py")
    assert source_entry(Path("a.csv"), registry).qualified == "mine.py:tsv"
    assert registry.reference(source_entry(Path("a.tsv"), registry)) == "nnreg:tsv"


SOURCE = """
from dataclasses import dataclass
from nnreg import Source, hookimpl

@dataclass(frozen=True)
class Mine(Source):
    suffixes = (".csv",)

@hookimpl
def nnreg_sources():
    return {"tsv": Mine}
"""


def test_the_table_of_a_network_distinguishes_layers_of_one_name(directory):
    (directory / "mine.py").write_text(LAYER)
    registry = found()
    registry.add_file(directory / "mine.py")
    layers = [{"type": "flatten"}, {"type": "nnreg:flatten"}, {"type": "dense", "units": 1}]
    x = np.ones((4, 2))
    document = read_spec({**network(), "model": {"layers": layers}}, registry=registry)
    model = nnreg.build(document, data=(x, x[:, 0]))
    kinds = [kind for _, kind, _, _ in model.layer_table()]
    assert kinds == ["mine.py:flatten", "nnreg:flatten", "dense"]


LAYER = """
from dataclasses import dataclass
from nnreg import hookimpl
from nnreg.builtin.layers.dense import Flatten

@dataclass(frozen=True)
class Mine(Flatten):
    pass

@hookimpl
def nnreg_layers():
    return {"flatten": Mine}
"""


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("swish", True),
        ("nnreg:swish", True),
        ("nnreg-swish:swish", True),
        ("a (1)+.py:swish", True),
        ("nnreg-swish:relu", False),
        ("nnreg-swush:swish", False),
        ("a (1)+xpy:swish", False),
    ],
)
def test_the_schema_accepts_qualified_names(built_in_swish, install, directory, name, valid):
    install("nnreg-swish", swish())
    (directory / "a (1)+.py").write_text(swish())
    registry = found()
    registry.add_file(directory / "a (1)+.py")
    validator = jsonschema.Draft202012Validator(json_schema(registry))
    assert validator.is_valid(network(name)) == valid
    assert validator.is_valid(network({"type": name})) == valid
    if name != "nnreg:swish":  # that of the plugin has an option
        assert validator.is_valid(network({"type": name, "beta": 2})) == valid
