"""The public names: each is listed here, documented, and shown to users."""

import inspect
import re
import types

import pytest

import nnreg
from nnreg.model.model import Model
from nnreg.runs.cross_validation import CrossValidation
from nnreg.training.history import History
from tests.helpers.paths import ROOT

CALLS = (
    "build calibrate compare export hookimpl importance load load_weights propose read_arrays "
    "read_history register report resume run save sweep"
)
ERRORS = (
    "CheckpointError DataDriftWarning DataError DivergedError MissingPluginError NnregError "
    "NnregWarning PluginError ShapeError SpecError UnsavedError UsageError"
)
FOR_PLUGINS = (
    "Activation Array Augmentation Component Constraint Context Count Encoder Executor "
    "Exporter HeldOut Initializer Join JoinBackward Kernels Layer LayerBuilder Loss Metric "
    "NonNegative Optimizer Param Positive RawColumn Regularizer ReportChart ReportTable "
    "ReportView RunView Schedule ScheduleContext Section Shape Source TermLoss "
    "TrainableActivation Units UpdateState Workspace chain fans learned"
)
CLASSES = {
    Model: (
        "activations buffers classes classify evaluate fit forecast gradients history input_schema "
        "parameters predict predict_members probabilities results summary use_best"
    ),
    History: "columns curve names svg",
    CrossValidation: "directory runs train",
}
TYPES = {"Array", "Shape", "Count", "NonNegative", "Positive", "Units", "JoinBackward"}
"""Names of types, which have no docstring of their own."""


def names_of(cls):
    return {name for name in vars(cls) if not name.startswith("_")}


def guides():
    pages = [*ROOT.glob("docs/howto/*.md"), *ROOT.glob("docs/lessons/*.md")]
    pages += [ROOT / "README.md", ROOT / "docs" / "tutorial.md", ROOT / "docs" / "plugins.md"]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def test_the_names_of_nnreg_are_those_listed_here():
    listed = {*CALLS.split(), *ERRORS.split(), *FOR_PLUGINS.split(), "Table", "Padded"}
    listed |= {cls.__name__ for cls in CLASSES}
    assert set(nnreg.__all__) == listed


@pytest.mark.parametrize("cls", CLASSES)
def test_the_names_of_a_class_are_those_listed_here(cls):
    assert names_of(cls) == set(CLASSES[cls].split())


def test_every_name_has_a_docstring():
    for name in set(nnreg.__all__) - TYPES:
        assert inspect.getdoc(getattr(nnreg, name)), name
    for cls in CLASSES:
        for name in names_of(cls):
            assert inspect.getdoc(vars(cls)[name]), f"{cls.__name__}.{name}"


def test_functions_say_what_they_raise():
    """`read_history` and the rest raise errors of nnreg for what a caller can do wrong."""
    for name in CALLS.split():
        function = getattr(nnreg, name)
        if isinstance(function, types.FunctionType):
            assert re.search(r"\braises?\b", function.__doc__, re.I), name


def test_guides_show_every_call_and_every_name_of_a_model():
    text = guides()
    for name in CALLS.split():
        assert re.search(rf"nnreg\.{name}\b|@{name}\b", text), name
    for name in names_of(Model):
        assert re.search(rf"\.{name}\b", text), f"Model.{name}"
