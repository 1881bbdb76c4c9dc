"""Names by provider: what a name means if several plugins have it, and how it is written."""

import pytest

from nnreg.builtin.activations import Tanh
from nnreg.registry.names import Entry, Preferences, meanings, reference


def entry(plugin, distribution="", origin="distribution"):
    return Entry("activation", "mish", Tanh, plugin, distribution or plugin, "1", origin)


BUILT_IN = entry("nnreg")
FILE = entry("mish.py", origin="file")
OTHER_FILE = entry("nnregfile.py", origin="file")
PROGRAM = entry("nnreg.register mish", "train.py", "program")
A = entry("a", "nnreg-mish")
B = entry("b", "nnreg-more")
EVERYTHING = [BUILT_IN, A, B, FILE, PROGRAM]


@pytest.mark.parametrize(
    ("name", "same", "required", "recorded", "expected"),
    [
        # unqualified, in a spec
        ("mish", [], (), None, []),
        ("mish", [BUILT_IN], (), None, [BUILT_IN]),
        ("mish", [A], (), None, [A]),
        ("mish", [A, B], (), None, [A, B]),
        ("mish", [BUILT_IN, A], (), None, [BUILT_IN]),
        ("mish", [BUILT_IN, A, B], (), None, [BUILT_IN]),
        ("mish", [BUILT_IN, FILE], (), None, [FILE]),
        ("mish", [BUILT_IN, PROGRAM], (), None, [PROGRAM]),
        ("mish", [BUILT_IN, A, FILE], (), None, [FILE]),
        ("mish", [A, B, FILE], (), None, [FILE]),
        ("mish", [FILE, OTHER_FILE], (), None, [FILE, OTHER_FILE]),
        ("mish", [FILE, PROGRAM, BUILT_IN], (), None, [FILE, PROGRAM]),
        # with requires
        ("mish", [BUILT_IN, A, B], ("nnreg_Mish",), None, [A]),
        ("mish", [A, B], ("nnreg-more",), None, [B]),
        ("mish", [BUILT_IN, A, B], ("nnreg-mish", "nnreg-more"), None, [A, B]),
        ("mish", [BUILT_IN, A, FILE], ("nnreg-mish",), None, [A, FILE]),
        ("mish", [BUILT_IN, FILE], ("nnreg",), None, [FILE]),
        ("mish", [BUILT_IN, A], ("nnreg", "numpy"), None, [BUILT_IN]),
        # recorded by a checkpoint
        ("mish", EVERYTHING, (), "nnreg-mish", [A]),
        ("mish", EVERYTHING, (), "nnreg", [BUILT_IN]),
        ("mish", EVERYTHING, ("nnreg-more",), "nnreg_mish", [A]),
        ("mish", EVERYTHING, (), "mish.py", [FILE]),
        ("mish", EVERYTHING, (), "train.py", [PROGRAM]),
        # recorded, but missing
        ("mish", [BUILT_IN], (), "nnreg-mish", []),
        ("mish", [BUILT_IN, B], (), "nnreg-mish", [B]),
        ("mish", [BUILT_IN, A, PROGRAM], (), "predict.py", [PROGRAM]),
        ("mish", [BUILT_IN, A, B], (), "mish.py", []),
        ("mish", [BUILT_IN, A, B], ("nnreg-more",), "mish.py", [B]),
        ("mish", [A], (), "nnreg", [A]),
        # qualified
        ("nnreg:mish", EVERYTHING, (), None, [BUILT_IN]),
        ("nnreg-mish:mish", EVERYTHING, ("nnreg-more",), "nnreg", [A]),
        ("NNREG_more:mish", EVERYTHING, (), None, [B]),
        ("mish.py:mish", EVERYTHING, (), None, [FILE]),
        ("mish-py:mish", EVERYTHING, (), None, []),
        ("train.py:mish", EVERYTHING, (), None, [PROGRAM]),
        ("nnreg-none:mish", EVERYTHING, (), None, []),
        (":mish", EVERYTHING, (), None, []),
    ],
)  # fmt: skip
def test_what_a_name_means(name, same, required, recorded, expected):
    known = {} if recorded is None else {("activation", "mish"): recorded}
    for order in (same, same[::-1]):
        found = meanings(name, order, Preferences(required, known))
        assert sorted(found, key=same.index) == sorted(expected, key=same.index)


@pytest.mark.parametrize(
    ("one", "same", "recorded", "expected"),
    [
        (BUILT_IN, [BUILT_IN], None, "mish"),
        (BUILT_IN, [BUILT_IN, A], None, "mish"),
        (BUILT_IN, [BUILT_IN, FILE], None, "nnreg:mish"),
        (BUILT_IN, [BUILT_IN, FILE], "nnreg", "nnreg:mish"),
        (A, [A], None, "mish"),
        (A, [BUILT_IN, A], None, "nnreg-mish:mish"),
        (A, [BUILT_IN, A], "nnreg-mish", "nnreg-mish:mish"),
        (A, [A, B], "nnreg-mish", "nnreg-mish:mish"),
        (FILE, [FILE], None, "mish"),
        (FILE, [BUILT_IN, FILE], None, "mish.py:mish"),
        (FILE, [A, FILE], None, "mish.py:mish"),
        (PROGRAM, [FILE, PROGRAM], "train.py", "train.py:mish"),
    ],
)
def test_a_component_is_written_qualified_exactly_where_its_name_could_mean_another(
    one, same, recorded, expected
):
    known = {} if recorded is None else {("activation", "mish"): recorded}
    assert reference(one, same, Preferences((), known)) == expected


def test_a_component_of_a_required_distribution_is_written_unqualified():
    assert reference(A, [BUILT_IN, A], Preferences(("nnreg-mish",))) == "mish"
    assert reference(BUILT_IN, [BUILT_IN, A], Preferences(("nnreg-mish",))) == "nnreg:mish"
