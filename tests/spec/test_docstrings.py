"""Docstrings of components: prose, formula, and the lines of options and arrays."""

from dataclasses import dataclass

import pytest

from nnreg.registry.names import Entry
from nnreg.registry.registry import Registry
from nnreg.spec.component_reference import describe
from nnreg.spec.docstrings import class_docstring, parse_docstring

WHOLE = """A trained gain.

    y = gain · x

    Someone 2020.

    Options:
        slope: slope for x < 0,
            in [0, 1]
        other: a value: any

    Parameters:
        gain: (features,)
    Buffers:
        mean: (features,)
    """


def test_a_docstring_is_parsed_into_prose_formula_and_lines():
    docstring = parse_docstring(WHOLE)
    assert docstring.prose == "A trained gain.\n\ny = gain · x\n\nSomeone 2020."
    assert (docstring.summary, docstring.formula) == ("A trained gain.", "y = gain · x")
    assert docstring.options == (("slope", "slope for x < 0, in [0, 1]"), ("other", "a value: any"))
    assert docstring.parameters == (("gain", "(features,)"),)
    assert docstring.buffers == (("mean", "(features,)"),)


@pytest.mark.parametrize(
    "text",
    [
        "y = x, where `beta` is the slope.",
        "A layer.\n\nOptions:\n    none that matter",
        "A layer.\n\nOptions:\n    beta: a slope\n    and more of it",
        "A layer.\n\nOptions:\n\n    beta: a slope",
        "A layer. Options: many.",
    ],
)
def test_a_docstring_without_blocks_of_this_form_is_prose(text):
    docstring = parse_docstring(text)
    assert docstring.prose == text
    assert docstring.options == docstring.parameters == docstring.buffers == ()


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("y = x, where `beta` is the slope.", "y = x, where `beta` is the slope."),
        ("A step.\n\np ← p - g", "p ← p - g"),
        ("A file.\n\nRead it.\n\nIts rows = lines.", ""),
        (None, ""),
    ],
)
def test_the_formula_is_the_first_or_second_paragraph(text, formula):
    assert parse_docstring(text).formula == formula


@dataclass(frozen=True)
class Base:
    """A base.

    Options:
        alpha: the first
        beta: the second
    """

    alpha: int = 0
    beta: int = 0


@dataclass(frozen=True)
class Derived(Base):
    """A derived class.

    Options:
        beta: another second
        gamma: the third
    """

    gamma: int = 0


def test_a_class_inherits_the_lines_of_its_bases_and_may_replace_them():
    docstring = class_docstring(Derived)
    assert docstring.prose == "A derived class."
    expected = {"alpha": "the first", "beta": "another second", "gamma": "the third"}
    assert dict(docstring.options) == expected
    entry = Entry("loss", "derived", Derived, "p", "d", "1")
    described = describe(entry, Registry(entries={("loss", "derived"): [entry]}))
    assert {option["name"]: option["meaning"] for option in described["options"]} == expected
