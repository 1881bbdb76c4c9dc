"""Plugins from files and programs, their selection, and their isolation from each other."""

import json
import re
import sys
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Activation, MissingPluginError, PluginError, SpecError, UsageError, hookimpl
from nnreg.errors import NnregWarning
from nnreg.registry.loading import Selection
from nnreg.registry.registry import discover, installed
from nnreg.spec.document import read_spec
from nnreg.spec.json_schema import json_schema
from tests.helpers.fake_distributions import swish
from tests.helpers.specs import CSV, WITH_SWISH, classifier


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Return the working directory, with a spec that names swish, which no plugin provides yet."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    (tmp_path / "spec.json").write_text(json.dumps(WITH_SWISH))
    return tmp_path


def found(**selection):
    return discover(Selection(**selection))


# Files


def test_a_file_is_a_plugin_whose_version_is_a_digest_of_its_content(directory):
    (directory / "swish.py").write_text(swish())
    registry = found()
    plugin = registry.add_file(directory / "swish.py")
    assert (plugin.state, plugin.distribution, len(plugin.version)) == ("loaded", "swish.py", 12)
    assert plugin.hooks == ("nnreg_activations",)
    assert registry.find("activation", "swish").provider == plugin.provider
    (directory / "swish.py").write_text(swish() + "# changed\n")
    assert found().add_file(directory / "swish.py").version != plugin.version
    assert sorted(path.name for path in directory.iterdir()) == [
        "data.csv",
        "spec.json",
        "swish.py",
    ]


def test_a_file_named_twice_is_loaded_once(directory):
    (directory / "swish.py").write_text(swish())
    registry = found()
    registry.add_file(directory / "swish.py")
    registry.add_file(directory / "." / "swish.py")
    assert registry.find("activation", "swish")


def test_files_of_one_name_in_two_directories_are_two_plugins(directory):
    registry = found()
    for name in "ab":
        (directory / name).mkdir()
        (directory / name / "mine.py").write_text(swish(name))
        registry.add_file(directory / name / "mine.py")
    assert registry.find("activation", "a").plugin == "mine.py"
    assert registry.find("activation", "b").plugin == str(directory / "b" / "mine.py")


def test_a_file_may_use_postponed_annotations(directory):
    code = swish().replace("beta: float", "beta: 'float'")
    (directory / "swish.py").write_text("from __future__ import annotations\n" + code)
    registry = found()
    registry.add_file(directory / "swish.py")
    layer = {"type": "dense", "units": 2, "activation": {"type": "swish", "beta": 3}}
    document = read_spec({**WITH_SWISH, "model": {"layers": [layer]}}, registry=registry)
    assert document.spec.model.layers[0].activation.beta == 3


def test_nnregfile_is_loaded_only_for_the_specs_in_its_directory(directory):
    (directory / "nnregfile.py").write_text(swish())
    with pytest.warns(NnregWarning, match=r"plugin nnregfile\.py is loaded for this spec"):
        document = read_spec("spec.json", run_plugin_file=True)
    assert {"swish", "softmax"} <= {name for _, name in document.components}
    assert read_spec(document).registry is document.registry
    with pytest.raises(SpecError, match="no activation 'swish'"):
        read_spec(WITH_SWISH)
    assert "nnregfile.py" not in installed().plugins


def test_what_is_built_from_a_spec_uses_the_plugins_it_was_read_with(directory):
    (directory / "nnregfile.py").write_text(swish())
    with pytest.warns(NnregWarning):
        model = nnreg.run("spec.json", out="run")
    assert "dense" in model.summary()
    with pytest.raises(MissingPluginError, match=r"activation 'swish' of nnregfile\.py") as caught:
        nnreg.load("run/checkpoints/best.h5")
    assert caught.value.file == "nnregfile.py"


def test_a_failing_nnregfile_is_reported_and_does_not_affect_specs_that_do_not_need_it(directory):
    (directory / "nnregfile.py").write_text("import nothing_of_this_name")
    failed = r"nnregfile\.py \(failed: ModuleNotFoundError"
    with pytest.warns(NnregWarning), pytest.raises(SpecError, match=failed):
        read_spec("spec.json", run_plugin_file=True)
    (directory / "plain.json").write_text(json.dumps(classifier()))
    with pytest.warns(NnregWarning, match=r"nnregfile\.py failed: ModuleNotFoundError: No module"):
        read_spec("plain.json", run_plugin_file=True)


ODD = """
from dataclasses import dataclass
from nnreg import Activation, hookimpl

class Base(Activation):
    def forward(self, x):
        return x, lambda dy: dy

@dataclass(frozen=True)
class Unknown(Base):
    option: 'Nowhere' = 1

@dataclass(frozen=True)
class Foreign(Base):
    option: object = object()

@dataclass(frozen=True)
class Good(Base):
    option: int = 1

@hookimpl
def nnreg_activations():
    return {"unknown": Unknown, "foreign": Foreign, "good": Good}
"""


def test_components_that_cannot_be_described_are_omitted_from_the_schema(directory):
    (directory / "odd.py").write_text(ODD)
    registry = found()
    registry.add_file(directory / "odd.py")
    with pytest.warns(NnregWarning) as notes:
        schema = json_schema(registry)
    odd, unknown = sorted(str(note.message) for note in notes)
    assert re.search("'foreign' of odd.py .*default of Foreign.option is <object", odd)
    assert re.search("'unknown' of odd.py .*omitted: the options of Unknown cannot be", unknown)
    assert "NameError: name 'Nowhere' is not defined" in unknown
    assert {"good", "relu"} <= set(schema["$defs"]["activation"]["anyOf"][0]["enum"])


def test_a_component_that_cannot_be_described_is_an_error_at_its_path(directory):
    (directory / "odd.py").write_text(ODD)
    registry = found()
    registry.add_file(directory / "odd.py")
    layers = [{"type": "dense", "units": 2, "activation": "unknown"}]
    with pytest.raises(SpecError) as caught:
        read_spec({**WITH_SWISH, "model": {"layers": layers}}, registry=registry)
    (problem,) = caught.value.problems
    assert problem.path == "$.model.layers[0].activation"
    assert re.match(r"odd\.py \w{12}: the options of Unknown cannot be read", problem.message)
    assert read_spec(classifier(), registry=registry)


# nnreg.register


@dataclass(frozen=True)
class Mish(Activation):
    """y = x · tanh(log(1 + exp(x)))"""

    def forward(self, x):
        return np.tanh(x), lambda dy: dy * (1 - np.tanh(x) ** 2)


def test_a_component_is_registered_by_name_and_used(registering, tmp_path):
    nnreg.register("mish", Mish)
    spec = {"model": {"layers": [{"type": "dense", "units": 1, "activation": "mish"}]},
            "loss": "mean_squared_error", "optimizer": "sgd", "train": {"epochs": 1}}  # fmt: skip
    x = np.ones((4, 2))
    model = nnreg.run(spec, data=(x, x[:, 0]), out=tmp_path / "run")
    entry = installed().find("activation", "mish")
    assert (entry.distribution, entry.plugin) == ("test_loading.py", "nnreg.register mish")
    loaded = nnreg.load(tmp_path / "run" / "checkpoints" / "best.h5")
    assert loaded.predict(x).tobytes() == model.predict(x).tobytes()
    installed().remove(entry.plugin)
    with pytest.raises(MissingPluginError, match=r"a program registered; call nnreg\.register"):
        nnreg.load(tmp_path / "run" / "checkpoints" / "best.h5")


def test_registering_again_replaces(registering):
    @dataclass(frozen=True)
    class Other(Mish):
        pass

    nnreg.register("mish", Mish)
    nnreg.register("mish", Other)
    assert installed().find("activation", "mish").cls is Other


def test_a_module_an_object_or_a_file_is_registered(registering, directory):
    class Plugin:
        @hookimpl
        def nnreg_activations(self):
            return {"mish": Mish}

    nnreg.register(Plugin())
    assert installed().find("activation", "mish").cls is Mish
    for path in ("swish.py", directory / "swish.py"):
        (directory / "swish.py").write_text(swish() + f"# {path}")
        nnreg.register(path)
    assert installed().find("activation", "swish").distribution == "swish.py"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("my mish", Mish), "registers the name 'my mish'; expected an identifier"),
        (("mish", int), "is not a component; derive it from one of Activation, Loss"),
        (("mish", type("Bare", (Activation,), {})), r"needs @dataclass\(frozen=True\)"),
        (("nowhere.py",), r"nowhere\.py: cannot read the plugin: No such file"),
        ((3,), "implements no hook, such as nnreg_activations"),
    ],
)
def test_what_cannot_be_registered_is_refused_and_removed(
    registering, directory, arguments, message
):
    before = dict(installed().plugins)
    with pytest.raises(PluginError, match=message):
        nnreg.register(*arguments)
    assert installed().plugins == before


def test_a_name_of_a_file_may_be_registered_but_only_used_qualified(registering, directory):
    (directory / "other.py").write_text(swish("mish"))
    nnreg.register("other.py")
    nnreg.register("mish", Mish)
    with pytest.raises(PluginError, match=r"by both other\.py .* and test_loading\.py .*write"):
        installed().find("activation", "mish")
    assert installed().find("activation", "other.py:mish").distribution == "other.py"
    assert installed().find("activation", "test_loading.py:mish").cls is Mish


def test_a_plugin_returns_components_from_a_hook_instead_of_registering(directory):
    code = swish() + "\nimport nnreg\nnnreg.register('swish', Swish)"
    (directory / "swish.py").write_text(code)
    plugin = found().add_file(directory / "swish.py")
    assert "cannot be called while plugin swish.py is loading; return the component" in plugin.why


# Selection


def test_a_blocked_plugin_is_not_imported_and_is_named_if_it_is_missing(directory, install):
    install("nnreg-swish", swish() + "\n1 / 0", plugin="swish")
    for selection, by in (
        ({"blocked": ("swish",)}, "-p no:swish"),
        ({"blocked": ("nnreg_Swish",)}, "-p no:nnreg_Swish"),
        ({"only": ()}, "NNREG_PLUGINS=''"),
        ({"only": ("nnreg-other",)}, "NNREG_PLUGINS='nnreg-other'"),
    ):
        registry = found(**selection)
        assert registry.plugins["swish"].state == "blocked"
        assert registry.plugins["nnreg"].state == "loaded"
        with pytest.raises(SpecError, match=rf"nnreg-swish \(blocked: by {by}\)"):
            read_spec(WITH_SWISH, registry=registry)
    assert "nnreg_swish" not in sys.modules


def test_only_the_listed_plugins_load(install, monkeypatch):
    install("nnreg-a", swish("a"), plugin="a")
    install("nnreg-b", swish("b"), plugin="b")
    install("nnreg-c", swish("c"), plugin="c")
    monkeypatch.setenv("NNREG_PLUGINS", "a, nnreg-b")
    registry = discover(Selection.of_environment())
    states = {name: registry.plugins[name].state for name in "abc"}
    assert states == {"a": "loaded", "b": "loaded", "c": "blocked"}


def test_with_an_empty_list_a_file_loads_only_if_it_is_requested(directory):
    (directory / "nnregfile.py").write_text(swish())
    none = found(only=())
    with pytest.raises(SpecError, match=r"nnregfile\.py \(blocked: by NNREG_PLUGINS=''\)"):
        read_spec("spec.json", registry=none)
    none.add_file(directory / "nnregfile.py")
    assert read_spec("spec.json", registry=none)
    with pytest.raises(SpecError, match=r"blocked: by -p no:nnregfile\.py"):
        read_spec("spec.json", registry=found(blocked=("nnregfile.py",)))


def test_the_built_ins_cannot_be_blocked():
    with pytest.raises(UsageError, match="-p no:nnreg: the built-ins cannot be blocked"):
        Selection(blocked=("nnreg",))


def test_blocking_an_unknown_plugin_is_reported(install):
    install("nnreg-swish", swish(), plugin="swish")
    with pytest.warns(NnregWarning) as notes:
        found(blocked=("swsh", "swish"))
    assert [str(note.message) for note in notes] == [
        "-p no:swsh: no such plugin; did you mean 'swish'?"
    ]


def test_requirements_of_a_spec_are_checked_first(directory, install):
    install("nnreg-old", swish(), plugin="old", version="1.0")
    requires = ["nnreg>=0.1", "numpy", "nnreg-old>=1.2", "nnreg-new", "x; python_version<'3'"]
    with pytest.raises(MissingPluginError) as caught:
        read_spec({"requires": requires, "nonsense": 1})
    assert caught.value.exit_code == 4
    assert str(caught.value) == (
        "spec: requires nnreg-old>=1.2 (1.0 is installed), nnreg-new (not installed); "
        "run: pip install 'nnreg-old>=1.2' nnreg-new"
    )
    assert read_spec({**classifier(), "requires": ["nnreg_old==1.*"]}).spec.requires


def test_a_required_plugin_must_not_be_blocked(install):
    install("nnreg-swish", swish(), plugin="swish")
    spec = {**classifier(), "requires": ["nnreg_swish"]}
    with pytest.raises(
        MissingPluginError, match="requires nnreg-swish, which is blocked by -p no:swish"
    ):
        read_spec(spec, registry=found(blocked=("swish",)))


@pytest.mark.parametrize("text", ["nnreg >> 1", "a @ https://example.org/a.whl", "", 3])
def test_a_requirement_is_a_name_and_versions(text):
    with pytest.raises(SpecError, match=r"\$\.requires\[1\]: must be a name and versions, as in"):
        read_spec({**classifier(), "requires": ["numpy", text]})
