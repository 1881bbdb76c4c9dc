"""The options of a component are its annotated fields, under names that nnreg does not use."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

import nnreg
from nnreg import Activation, Metric, SpecError
from nnreg.errors import PluginError
from nnreg.registry.checks import check_components, unannotated
from nnreg.registry.registry import installed
from nnreg.spec.document import read_spec
from nnreg.testing import checks
from tests.training.test_returned_values import document, hidden


@dataclass(frozen=True)
class Line(Activation):
    """y = x"""

    def formula(self, x):
        return 1.0 * x


@dataclass(frozen=True)
class OfKind(Line):
    """y = x by `kind`"""

    kind: str = "soft"


@dataclass(frozen=True)
class OfType(Line):
    """y = x by `type`"""

    type: str = "soft"


@dataclass(frozen=True)
class WithMethod(Line):
    """y = x by `migrate`"""

    migrate: bool = True


@pytest.mark.parametrize(("cls", "option"), [(OfKind, "kind"), (OfType, "type"),
                                             (WithMethod, "migrate")])  # fmt: skip
def test_an_option_with_a_name_that_nnreg_uses_is_refused(cls, option):
    text = rf"'own', whose option '{option}' has a name that nnreg uses .* in each Activation; give"
    with pytest.raises(PluginError, match=text):
        check_components(Activation, {"own": cls})
    with pytest.raises(PluginError, match=text):
        nnreg.register("own", cls)


@dataclass(frozen=True)
class Steep(Line):
    """y = slope · x, with slope 2"""

    slope = 2.0
    name = "steep"
    range = (0, 1)
    LIMITS = (0, 1)
    _hidden = 1
    constant: ClassVar[int] = 3


def test_an_attribute_without_annotation_is_explained_where_it_is_used_as_an_option():
    with pytest.raises(SpecError) as caught:
        document({"own": Steep}, hidden({"type": "own", "slope": 3}))
    (problem,) = caught.value.problems
    assert problem.path == "$.model.layers[0].activation.slope"
    assert problem.message == (
        "unknown key 'slope'; Steep.slope has no annotation, so that it is not an option: its "
        "author must write slope: float = 2.0"
    )
    with pytest.raises(SpecError, match="unknown key 'LIMITS'; there are no options"):
        document({"own": Steep}, hidden({"type": "own", "LIMITS": 3}))
    document({"own": Steep}, hidden("own"))


def test_the_conformance_checks_find_attributes_without_annotation():
    assert unannotated(Steep) == {"slope": 2.0, "name": "steep"}
    results = {check.name: check.result().found for check in checks(Steep)}
    assert results["annotated"].startswith("Steep: slope has no annotation, so that it is not an ")


@dataclass(frozen=True)
class Error(Metric):
    """The error"""

    classification = True
    higher_is_better: ClassVar[bool] = False


def test_attributes_of_the_kind_and_of_built_in_components_need_no_annotation():
    assert unannotated(Error) == {}
    assert {entry.cls: unannotated(entry.cls) for entry in installed()
            if unannotated(entry.cls)} == {}  # fmt: skip


def test_an_option_of_a_section_is_not_affected():
    with pytest.raises(SpecError, match="unknown key 'epoch'; did you mean 'epochs'"):
        read_spec({"train": {"epoch": 1}})
