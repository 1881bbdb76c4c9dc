"""A name in a checkpoint means what it meant when it was saved, whoever else has it since."""

import copy
import json
import pickle
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg import CheckpointError, MissingPluginError, builtin, hookimpl
from nnreg.builtin.activations import LeakyRelu
from nnreg.checkpoint.diff import compare
from nnreg.checkpoint.file_format import read_checkpoint
from nnreg.checkpoint.inspect import read_summary
from nnreg.registry.kinds import KINDS
from nnreg.registry.loading import Selection
from nnreg.registry.registry import Registry, discover
from nnreg.runs.rerun import rerun
from nnreg.runs.run import prepare_resume
from nnreg.spec.document import read_spec
from tests.checkpoint.plugin_of_every_kind import components, registry
from tests.helpers.fake_distributions import swish
from tests.helpers.specs import CSV, csv_data

# A plugin of every kind, and then a version of nnreg with a built-in of each of its names


class Others:
    """A plugin whose components have the names of those of the plugin of every kind."""


for kind, named in components().items():
    base = KINDS[kind][1]
    other = next(cls for cls in getattr(builtin, KINDS[kind][0])().values())
    setattr(
        Others,
        KINDS[kind][0],
        staticmethod(hookimpl(lambda named=named, other=other: dict.fromkeys(named, other))),
    )


def with_built_ins(version="1.0", change=None):
    """Return the plugin of every kind, and built-ins that have all its names."""
    found = registry(version, change)
    newer = Registry()
    newer.add_plugin("nnreg", Others, "nnreg", "0.2.0")
    for key, entries in newer.entries.items():
        found.entries[key] = [*entries, *found.entries.get(key, [])]
    assert len(found.entries["activation", "bent"]) == 2
    return found


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_new_built_ins_change_nothing_for_an_old_checkpoint(saved):
    rows = [{"island": "north", "length": 1.0, "depth": 5.0}]
    before, after = (nnreg.load(saved, registry=one()) for one in (registry, with_built_ins))
    assert after.predict(rows).tobytes() == before.predict(rows).tobytes()
    assert after.document.registry.find("activation", "bent").provider == "nnreg-all 1.0"
    again = pickle.loads(pickle.dumps(copy.deepcopy(after.document.registry.preferences)))
    assert again.recorded["optimizer", "walk"] == "nnreg-all"


def test_new_built_ins_change_nothing_when_an_old_run_is_resumed(saved):
    model = nnreg.load(saved / "checkpoints" / "last.h5", ["train.epochs=3"], with_built_ins())
    assert model.spec.optimizer.state_names == ("pace",)
    assert rerun(saved, registry=with_built_ins()).results_same


def test_a_migrated_checkpoint_keeps_its_meaning_when_it_is_saved_again(saved, tmp_path):
    cls, versions = components()["activation"]["bent"], []

    @dataclass(frozen=True)
    class Renamed(cls):
        """`slope` is called `bend` from version 2 on."""

        bend: float = 0.5

        @classmethod
        def migrate(cls, config, from_version):
            versions.append(from_version)
            return {("bend" if key == "slope" else key): value for key, value in config.items()}

    def newer(version="2.0"):
        found = with_built_ins(version)
        entry = found.entries["activation", "bent"][1]
        found.entries["activation", "bent"][1] = copy.copy(entry)
        object.__setattr__(found.entries["activation", "bent"][1], "cls", Renamed)
        return found

    model = nnreg.load(saved, registry=newer(), allow_changed=True)
    nnreg.save(model, tmp_path / "again.h5")
    records = read_summary(tmp_path / "again.h5").manifest.components
    assert {one.distribution for one in records if one.name.endswith(":bent")} == {"nnreg-all"}
    again = nnreg.load(tmp_path / "again.h5", registry=newer())
    assert again.document.tree == model.document.tree
    nnreg.load(tmp_path / "again.h5", registry=newer("3.0"))
    assert versions == ["1.0", "2.0"]


# One activation, of an installed distribution, of a file, and built in


@dataclass(frozen=True)
class NewBuiltIn(LeakyRelu):
    """A component that a later version of nnreg may have."""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    return tmp_path


@pytest.fixture
def add_built_in(monkeypatch):
    """Return a function that adds a built-in of the plugins' name."""

    @hookimpl
    def nnreg_activations(before=builtin.nnreg_activations):
        return {**before(), "swish": NewBuiltIn}

    return lambda: monkeypatch.setattr(builtin, "nnreg_activations", nnreg_activations)


def found(*files):
    registry = discover(Selection())
    for file in files:
        registry.add_file(Path(file))
    return registry


def spec(*activations, **sections):
    layers = [{"type": "dense", "units": 3, "activation": one} for one in activations]
    last = {"type": "dense", "units": "classes", "activation": "softmax"}
    return {"data": csv_data(unseen="ignore"), "model": {"layers": [*layers, last]},
            "loss": "cross_entropy", "optimizer": "adam", "metrics": ["accuracy"],
            "train": {"epochs": 2}, **sections}  # fmt: skip


def run(tree, registry, out="run"):
    return nnreg.run(read_spec(tree, registry=registry), out=out)


ROWS = [{"island": "north", "length": 1.0, "depth": 5.0}]


def test_an_installed_plugin_s_name_survives_a_built_in(directory, install, add_built_in):
    install("nnreg-swish", swish())
    before = run(spec("swish"), found()).predict(ROWS)
    add_built_in()
    model = nnreg.load("run", registry=found())
    assert model.predict(ROWS).tobytes() == before.tobytes()
    assert type(model.spec.model.layers[0].activation) is not NewBuiltIn
    prepare_resume("run", overrides=["train.epochs=3"], registry=found()).train()
    assert nnreg.load("run/checkpoints/last.h5", registry=found()).history[-1]["epoch"] == 3
    assert read_summary("run").manifest.spec["model"]["layers"][0]["activation"] == "swish"
    requiring = ['requires=["nnreg-swish"]', "train.epochs=4"]  # "swish" is then written otherwise
    assert nnreg.load("run/checkpoints/last.h5", requiring, found())


def test_a_missing_plugin_is_not_replaced_by_a_built_in(directory, add_built_in):
    (directory / "mine.py").write_text(swish())
    run(spec("swish"), found("mine.py"))
    add_built_in()
    with pytest.raises(MissingPluginError, match=r"the activation 'swish' of mine\.py .* a file"):
        nnreg.load("run", registry=found())
    assert nnreg.load("run", registry=found("mine.py"))


def test_a_blocked_plugin_is_not_replaced_by_a_built_in(directory, install, add_built_in):
    install("nnreg-swish", swish())
    run(spec("swish"), found())
    add_built_in()
    blocked = discover(Selection(blocked=("nnreg-swish",)))
    with pytest.raises(MissingPluginError, match="blocked: by -p no:nnreg-swish"):
        nnreg.load("run", registry=blocked)


def test_a_built_in_is_not_replaced_by_what_is_asked_for(directory, install, add_built_in):
    add_built_in()
    before = run(spec("swish"), found()).predict(ROWS)
    install("nnreg-swish", swish())
    (directory / "mine.py").write_text(swish())
    model = nnreg.load("run", ["train.epochs=4"], found("mine.py"))
    assert type(model.spec.model.layers[0].activation) is NewBuiltIn
    assert model.predict(ROWS).tobytes() == before.tobytes()
    tree = json.loads((directory / "run" / "resolved.json").read_text())
    assert tree["model"]["layers"][0]["activation"] == {"type": "swish", "slope": 0.01}


def test_a_file_that_became_a_distribution_still_loads(directory, install, add_built_in):
    (directory / "mine.py").write_text(swish())
    before = run(spec("swish"), found("mine.py")).predict(ROWS)
    add_built_in()
    install("nnreg-swish", swish())
    assert nnreg.load("run", registry=found()).predict(ROWS).tobytes() == before.tobytes()
    install("nnreg-other", swish().replace("x * self.beta", "x + self.beta"), plugin="b")
    with pytest.raises(MissingPluginError, match=r"the activation 'swish' of mine\.py"):
        nnreg.load("run", registry=found())


@pytest.fixture
def three(directory, install, add_built_in):
    """Train with three components of one name; return a function that gives their registry."""
    add_built_in()
    code = swish().replace("x * self.beta", "FACTOR * x").replace("dy * self.beta", "FACTOR * dy")
    install("nnreg-swish", code.replace("FACTOR", "2"))
    (directory / "mine.py").write_text(code.replace("FACTOR", "3"))
    names = ["swish", "nnreg:swish", "nnreg-swish:swish", "mine.py:swish"]
    run(spec(*names, train={"epochs": 2}), found("mine.py"))
    return lambda: found("mine.py")


def providers(model):
    activations = [layer.activation for layer in model.spec.model.layers[:-1]]
    return [model.document.registry.entry_of(one).distribution for one in activations]


def test_components_of_one_name_are_recorded_each_with_its_fingerprint(three):
    records = [c for c in read_checkpoint(best_of("run")).document["components"] if "swish" in
               c["name"]]  # fmt: skip
    assert [(c["name"], c["distribution"]) for c in records] == [
        ("swish", "mine.py"),
        ("nnreg:swish", "nnreg"),
        ("nnreg-swish:swish", "nnreg-swish"),
        ("mine.py:swish", "mine.py"),
    ]
    outputs = [next(iter(c["probes"].values()))["output"] for c in records]
    assert outputs[0] == outputs[3]
    assert np.allclose(np.multiply(outputs[2], 1.5), outputs[3])
    assert providers(nnreg.load("run", registry=three())) == [
        "mine.py", "nnreg", "nnreg-swish", "mine.py"
    ]  # fmt: skip


def best_of(directory):
    return f"{directory}/checkpoints/best.h5"


def test_a_changed_component_is_found_among_those_of_one_name(three, directory):
    file = directory / "site" / "nnreg_swish.py"
    file.write_text(file.read_text().replace("2 * x", "2.5 * x"))
    sys.modules.pop("nnreg_swish", None)
    with pytest.raises(CheckpointError) as caught:
        nnreg.load("run", registry=three())
    (line,) = [line for line in str(caught.value).split("\n") if line.startswith("  ")]
    assert "'nnreg-swish:swish' of nnreg-swish 1.2, changed under the same version" in line


def test_components_of_one_name_survive_resuming_rerunning_and_pickling(three):
    prepare_resume("run", overrides=["train.epochs=3"], registry=three()).train()
    model = nnreg.load("run", registry=three())
    assert providers(model) == ["mine.py", "nnreg", "nnreg-swish", "mine.py"]
    assert rerun("run", registry=three()).results_same
    assert compare("run", "run").same
    again = pickle.loads(pickle.dumps(model))
    assert providers(again) == providers(copy.deepcopy(model)) == providers(model)
    assert again.predict(ROWS).tobytes() == model.predict(ROWS).tobytes()


def test_a_network_of_such_components_starts_another_and_is_cross_validated(three, directory):
    names = ["swish", "nnreg:swish", "nnreg-swish:swish", "mine.py:swish"]
    tree = spec(*names, train={"epochs": 1, "start_from": "run"})
    run(tree, three(), out="second")
    tree["train"] = {"epochs": 1, "folds": 2}
    run(tree, three(), out="folds")
    assert nnreg.load("folds/fold-1", registry=three())


def test_the_resolved_spec_of_a_run_means_the_same_in_its_directory(three, directory):
    tree = json.loads((directory / "run" / "resolved.json").read_text())
    names = [layer["activation"]["type"] for layer in tree["model"]["layers"][:-1]]
    assert names == ["mine.py:swish", "nnreg:swish", "nnreg-swish:swish", "mine.py:swish"]
    registry = three()
    document = read_spec(directory / "run" / "resolved.json", registry=registry)
    assert document.spec.model == nnreg.load("run", registry=registry).spec.model


def test_resuming_under_another_spelling_of_a_name_is_no_change(three):
    change = "model.layers.2.activation=NNREG_swish:swish"
    assert nnreg.load("run/checkpoints/last.h5", [change, "train.epochs=3"], three())
    with pytest.raises(nnreg.SpecError, match="cannot change on resuming"):
        nnreg.load("run/checkpoints/last.h5", ["model.layers.2.activation=nnreg:swish"], three())
