"""Components that hooks give by a reference: their modules are imported when a spec needs them."""

import sys
from types import SimpleNamespace

import pytest

from nnreg import PluginError, SpecError, builtin, hookimpl
from nnreg.doctor.environment import _plugins
from nnreg.registry.kernels import default_kernels
from nnreg.registry.registry import Registry
from nnreg.spec.document import read_spec
from nnreg.spec.json_schema import json_schema
from tests.helpers.fake_distributions import SWISH

CLASSES = (
    SWISH.partition("@hookimpl")[0]
    + """
class NotFrozen(Activation):
    def forward(self, x): return x, lambda dy: dy

print("imported")
"""
)


def spec(activation="swish"):
    layer = {"type": "dense", "units": 1, "activation": activation}
    return {"model": {"layers": [layer]}, "loss": "huber", "optimizer": "sgd"}


@pytest.fixture
def lazy(tmp_path, monkeypatch):
    """Return a function that registers references to the classes of a module not yet imported."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)

    def register(components, hook="nnreg_activations", classes=CLASSES):
        (tmp_path / "lazy_classes.py").write_text(classes)
        sys.modules.pop("lazy_classes", None)
        registry = Registry()
        registry.add_plugin("nnreg", builtin, "nnreg", "0.1.0")
        plugin = SimpleNamespace(**{hook: hookimpl(lambda: components)})
        registry.add_plugin("lazy", plugin, "nnreg-lazy", "1.2")
        return registry

    yield register
    for name in ("lazy_classes", "lazy_names"):
        sys.modules.pop(name, None)


def test_the_module_is_imported_when_a_spec_names_the_component(lazy, capsys):
    registry = lazy({"swish": "lazy_classes:Swish"})
    read_spec(spec("relu"), registry=registry)
    assert "lazy_classes" not in sys.modules
    document = read_spec(spec({"type": "swish", "beta": 2}), registry=registry)
    activation = document.spec.model.layers[0].activation
    assert type(activation) is sys.modules["lazy_classes"].Swish
    assert registry.name_of(activation) == "swish"
    assert document.components["activation", "swish"].provider == "nnreg-lazy 1.2"
    assert tuple(capsys.readouterr()) == ("", "imported\n")


def test_a_component_of_a_class_is_found_by_a_reference_to_another_module(lazy, tmp_path):
    registry = lazy({"swish": "lazy_names:Swish"})
    (tmp_path / "lazy_names.py").write_text("from lazy_classes import Swish")
    from lazy_classes import Swish

    assert registry.name_of(Swish()) == "swish"


BROKEN = {
    "nothing_of_this_name:Swish": "cannot be imported: ModuleNotFoundError: No module named "
    "'nothing_of_this_name'",
    "lazy_classes:Lost": "cannot be imported: AttributeError: module 'lazy_classes' has no "
    "attribute 'Lost'",
    "lazy_classes:NotFrozen": "needs @dataclass(frozen=True)",
    "lazy_classes:dataclass": "expected a subclass of Activation",
}


@pytest.mark.parametrize(("reference", "error"), BROKEN.items())
def test_a_reference_that_fails_is_a_problem_of_the_spec_that_names_it(lazy, reference, error):
    registry = lazy({"swish": "lazy_classes:Swish", "lost": reference})
    assert not registry.plugins["lazy"].why
    read_spec(spec(), registry=registry)
    with pytest.raises(SpecError) as caught:
        read_spec(spec("lost"), registry=registry)
    (problem,) = caught.value.problems
    assert problem.path == "$.model.layers[0].activation"
    assert problem.message.startswith("nnreg-lazy 1.2 registers 'lost'")
    assert error in problem.message


@pytest.mark.parametrize(("reference", "error"), BROKEN.items())
def test_what_needs_all_components_records_the_failure_once(lazy, reference, error):
    registry = lazy({"swish": "lazy_classes:Swish", "lost": reference})
    for _ in range(2):
        names = {entry.name for entry in registry.loaded("activation")}
        assert {"swish", "relu"} <= names
        assert "lost" not in names
    (failure,) = registry.plugins["lazy"].failures
    assert failure.error.startswith("nnreg_activations: nnreg-lazy 1.2 registers 'lost'")
    assert error in failure.error
    assert error in next(one.found for one in _plugins(registry) if one.state == "failed")
    assert "swish" in str(json_schema(registry))


def test_an_exit_in_the_module_is_a_failure_and_an_interrupt_is_not(lazy):
    registry = lazy({"swish": "lazy_classes:Swish"}, classes="raise SystemExit(3)")
    with pytest.raises(PluginError, match="cannot be imported: SystemExit: 3"):
        _ = registry.find("activation", "swish").cls
    registry = lazy({"swish": "lazy_classes:Swish"}, classes="raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        registry.loaded()


@pytest.mark.parametrize(
    "text", ["Swish", "lazy_classes.Swish", "lazy_classes:", ":Swish", "a b:c"]
)
def test_a_text_that_is_no_reference_is_refused_when_the_plugin_is_registered(lazy, text):
    registry = lazy({"swish": text})
    assert f"registers 'swish' as {text!r}; expected a subclass of Activation, or a reference" in (
        registry.plugins["lazy"].why
    )


def test_kernels_by_reference_are_used_and_those_that_fail_are_not(lazy):
    classes = (
        "from dataclasses import dataclass\nfrom nnreg import Kernels\n"
        "@dataclass(frozen=True)\nclass Fast(Kernels): pass"
    )
    registry = lazy({"fast": "lazy_classes:Fast"}, "nnreg_kernels", classes)
    assert registry.name_of(default_kernels(registry)) == "fast"
    registry = lazy({"fast": "lazy_classes:Lost"}, "nnreg_kernels", classes)
    assert registry.name_of(default_kernels(registry)) == "numpy"
    assert "no attribute 'Lost'" in registry.plugins["lazy"].why
