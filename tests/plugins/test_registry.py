"""The registry: finding plugins, distinguishing them, and isolating their failures."""

import importlib.metadata
import sys
from dataclasses import dataclass

import pytest

from nnreg import Activation, PluginError, SpecError, builtin, hookimpl
from nnreg.builtin.activations import Relu, Tanh
from nnreg.registry.kernels import default_kernels
from nnreg.registry.kinds import KINDS
from nnreg.registry.registry import Registry, installed
from nnreg.spec.document import read_spec
from tests.helpers.fake_distributions import SWISH, swish


@pytest.fixture
def registry():
    registry = Registry()
    registry.add_plugin("nnreg", builtin, "nnreg", "0.1.0")
    return registry


def test_the_built_ins_come_through_the_same_hooks(registry):
    assert not any(plugin.why for plugin in registry.plugins.values())
    for kind, (hook, base) in KINDS.items():
        components = getattr(builtin, hook)()
        assert [entry.name for entry in registry if entry.kind == kind] == sorted(components)
        for name, reference in components.items():
            cls = registry.find(kind, name).cls
            assert f"{cls.__module__}:{cls.__qualname__}" == reference
            assert issubclass(cls, base)


def test_each_entry_has_plugin_distribution_and_version(registry, install):
    registry.add_entry_point(install("nnreg-swish", swish()))
    entry = registry.find("activation", "swish")
    assert (entry.plugin, entry.distribution, entry.version) == ("plugin", "nnreg-swish", "1.2")
    assert entry.provider == "nnreg-swish 1.2"
    assert registry.find("activation", "relu").provider == "nnreg 0.1.0"


def test_a_third_party_component_is_read_from_a_spec(registry, install):
    registry.add_entry_point(install("nnreg-swish", swish()))
    layer = {"type": "dense", "units": 1, "activation": {"type": "swish", "beta": 2}}
    spec = {"model": {"layers": [layer]}, "loss": "huber", "optimizer": "sgd"}
    document = read_spec(spec, registry=registry)
    assert document.spec.model.layers[0].activation.beta == 2
    assert "nnreg-swish 1.2" in {entry.provider for entry in document.components.values()}


def test_finding_a_name_registered_by_two_plugins_is_an_error_that_names_both(registry, install):
    registry.add_entry_point(install("nnreg-a", swish()))
    registry.add_entry_point(install("nnreg-b", swish()))
    assert registry.find("activation", "relu") is not None
    with pytest.raises(PluginError, match=r"nnreg-a 1\.2 .* and nnreg-b 1\.2 .*write "):
        registry.find("activation", "swish")


def test_two_entry_points_of_one_name_both_load(registry, install):
    for letter in "ab":
        registry.add_entry_point(install(f"nnreg-{letter}", swish(letter)))
    assert {"plugin", "nnreg-b:plugin"} <= registry.plugins.keys()
    assert registry.find("activation", "b") is not None


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("1 / 0", "ZeroDivisionError"),
        (SWISH.replace("return {NAME: Swish}", "return 1 / 0"), "ZeroDivisionError"),
        (SWISH.replace("return {NAME: Swish}", "raise SystemExit"), "SystemExit"),
        (SWISH.replace("{NAME: Swish}", "[Swish]"), "returned list; expected a mapping"),
        (SWISH.replace("NAME", "3"), "registers the name 3; expected an identifier"),
        (SWISH.replace("NAME", '"a b"'), "registers the name 'a b'"),
        (SWISH.replace("{NAME: Swish}", "{'s': 3}"), "expected a subclass of Activation"),
        (SWISH.replace("{NAME: Swish}", "{'s': str}"), "expected a subclass of Activation"),
        (SWISH.replace("NAME", "'s'").replace("frozen=True", "frozen=False"), "frozen=True"),
        (SWISH.replace("NAME", "'s'").replace("@dataclass(frozen=True)", ""), "frozen=True"),
        (SWISH.replace("NAME", "'s'").replace("nnreg_activations", "nnreg_activation"),
         "unknown hook 'nnreg_activation'; did you mean 'nnreg_activations'?"),
        (SWISH.replace("NAME", "'s'").replace("@hookimpl", ""),
         "nnreg_activations is missing the @hookimpl decorator"),
        ("x = 1", "implements no hook, such as nnreg_activations"),
        ("class Stop(BaseException): pass\nraise Stop('x')", "Stop: x (nnreg_bad.py, line 2)"),
        ("def broken(:", "SyntaxError: invalid syntax (nnreg_bad.py, line 1)"),
        ("def wrong():\n    1 / 0\n\nwrong()", "division by zero (nnreg_bad.py, line 2)"),
        (SWISH.replace("NAME", "'s'").replace("nnreg_activations()", "nnreg_activations(x)"),
         "nnreg_activations(x); Argument(s) {'x'} are declared"),
    ],
)  # fmt: skip
def test_a_plugin_that_fails_is_recorded_and_the_others_work(registry, install, code, error):
    registry.add_entry_point(install("nnreg-bad", code, plugin="bad"))
    registry.add_entry_point(install("nnreg-good", swish("good"), plugin="good"))
    bad = registry.plugins["bad"]
    assert (bad.distribution, bad.version, bad.state) == ("nnreg-bad", "1.2", "failed")
    assert error in bad.why
    assert registry.plugins["good"].state == "loaded"
    assert registry.find("activation", "good") is not None
    assert registry.find("activation", "s") is None


def test_a_keyboard_interrupt_stops_an_import(registry, install):
    with pytest.raises(KeyboardInterrupt):
        registry.add_entry_point(install("nnreg-bad", "raise KeyboardInterrupt"))


def test_an_entry_point_to_a_missing_module_is_a_failure(registry):
    registry.add_entry_point(importlib.metadata.EntryPoint("lost", "nothing_of_this_name", "nnreg"))
    assert registry.plugins["lost"].why == (
        "ModuleNotFoundError: No module named 'nothing_of_this_name'"
    )


def test_the_other_hooks_of_a_plugin_with_a_failing_hook_work(registry, install):
    code = swish() + "\n@hookimpl\ndef nnreg_losses():\n    return 1 / 0\n"
    registry.add_entry_point(install("nnreg-half", code, plugin="half"))
    assert registry.find("activation", "swish") is not None
    (failure,) = registry.plugins["half"].failures
    assert failure.error.startswith("nnreg_losses: ZeroDivisionError: division by zero (nnreg_half")
    assert registry.plugins["half"].hooks == ("nnreg_activations", "nnreg_losses")


def test_a_plugin_may_have_the_name_of_a_built_in(registry, install):
    relu = registry.find("activation", "relu")
    code = swish().replace("{'swish'", "{'mine': Swish, 'relu'")
    registry.add_entry_point(install("nnreg-taken", code, plugin="taken"))
    assert registry.plugins["taken"].state == "loaded"
    assert registry.find("activation", "relu") is relu
    assert registry.find("activation", "nnreg-taken:relu").cls.__name__ == "Swish"


@pytest.mark.parametrize(
    ("requires", "state"),
    [
        (["nnreg>=0.1", "numpy>=99"], "loaded"),
        (["nnreg"], "loaded"),
        (["nnreg-other>=9"], "loaded"),
        (["nnreg>=9; extra == 'new'", "NNREG>=0"], "loaded"),
        (["numpy", "nnreg (>=9)"], "failed"),
        (["nnreg>=9"], "failed"),
        (["nnreg>=0.1.0.0", "nnreg>=0.0.9"], "loaded"),
        (["nnreg>=0.1.1"], "failed"),
        (["nnreg<0.1"], "failed"),
    ],
)
def test_a_plugin_that_requires_another_nnreg_is_not_imported(registry, install, requires, state):
    registry.add_entry_point(install("nnreg-new", swish(), plugin="new", requires=requires))
    assert registry.plugins["new"].state == state
    assert ("nnreg_new" in sys.modules) == (state == "loaded")


def test_a_name_registered_twice_is_one_of_the_problems_of_a_spec(registry, install):
    registry.add_entry_point(install("nnreg-a", swish(), plugin="a"))
    registry.add_entry_point(install("nnreg-b", swish(), plugin="b"))
    layers = [{"type": "dense", "units": 1, "activation": "swish"}]
    spec = {"model": {"layers": layers}, "loss": "huber", "optimizer": "sgdd"}
    with pytest.raises(SpecError) as caught:
        read_spec(spec, registry=registry)
    first, second = caught.value.problems
    assert (first.path, second.path) == ("$.model.layers[0].activation", "$.optimizer")
    assert first.message == (
        "activation 'swish' is provided by both nnreg-a 1.2 (plugin a) and nnreg-b 1.2 "
        '(plugin b); write "nnreg-a:swish" or "nnreg-b:swish"'
    )


def test_the_error_for_an_unknown_name_lists_failed_plugins(registry, install):
    registry.add_entry_point(install("nnreg-bad", "1 / 0", plugin="bad"))
    spec = {"model": {"layers": [{"type": "flatten"}]}, "loss": "focal", "optimizer": "sgd"}
    with pytest.raises(SpecError, match=r"no loss 'focal'.* not loaded: nnreg-bad \(failed: Zero"):
        read_spec(spec, registry=registry)


def test_the_name_of_a_component_is_the_registered_one(registry):
    @dataclass(frozen=True)
    class Unregistered(Activation):
        pass

    assert registry.name_of(Relu()) == "relu"
    with pytest.raises(PluginError, match="Unregistered is not registered"):
        registry.name_of(Unregistered())


def test_an_object_may_be_a_plugin(registry):
    class Plugin:
        @hookimpl
        def nnreg_activations(self):
            return {"again": Tanh}

    registry.add_plugin("mine", Plugin(), "mine", "1")
    assert registry.find("activation", "again").plugin == "mine"


def test_kernels_of_a_plugin_are_used_unless_two_provide_them(registry, install):
    code = """
from dataclasses import dataclass
from nnreg import hookimpl
from nnreg.interfaces.kernels import Kernels

@dataclass(frozen=True)
class Fast(Kernels):
    pass

@hookimpl
def nnreg_kernels():
    return {NAME: Fast}
"""
    assert registry.name_of(default_kernels(registry)) == "numpy"
    registry.add_entry_point(install("nnreg-fast", code.replace("NAME", '"fast"')))
    assert registry.name_of(default_kernels(registry)) == "fast"
    registry.add_entry_point(install("nnreg-faster", code.replace("NAME", '"faster"')))
    assert registry.name_of(default_kernels(registry)) == "numpy"


def test_every_hook_is_documented_and_is_for_a_kind_an_event_or_an_extension():
    from nnreg import hookspecs

    hooks = {name for name in vars(hookspecs) if name.startswith("nnreg_")}
    events = {"nnreg_run_started", "nnreg_batch_ended", "nnreg_epoch_ended", "nnreg_run_ended"}
    extensions = {"nnreg_stop_reason", "nnreg_commands", "nnreg_report_sections"}
    assert hooks == {hook for hook, _ in KINDS.values()} | events | extensions
    for name in hooks:
        assert getattr(hookspecs, name).__doc__


def test_the_installed_registry_is_created_once():
    assert installed() is installed()
