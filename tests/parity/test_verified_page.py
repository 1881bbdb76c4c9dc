"""The page of verified components lists all of them, with what a run of all comparisons finds."""

import pkgutil

import pytest

from tests.parity import page
from tests.parity.comparison import FORMULA, RECORDS, Record

CONV, RELU = ("layer", "conv2d"), ("activation", "relu")
FOUND = {CONV: Record({"torch.nn.Conv2d", FORMULA}, 4e-14, 2e-13), RELU: Record({FORMULA})}


def test_every_built_in_component_is_on_the_page_or_has_no_peer():
    listed = page.stated_on(page.PAGE.read_text())
    assert listed.keys() == set(page.built_in()) - page.ALONE.keys()


def test_a_page_states_differences_with_a_margin_and_no_larger_ones_are_accepted():
    stated = page.stated_on(page.write(FOUND))
    assert stated == {CONV: ("1e-12", "1e-11"), RELU: ("1e-14", "")}
    assert page.larger(FOUND, stated) == {}
    worse = {CONV: Record({FORMULA}, 4e-14, 2e-11), RELU: Record({FORMULA}, 2e-14)}
    assert page.larger(worse, stated) == {CONV: ("1e-12", "1e-9"), RELU: ("1e-12", "")}


def test_a_page_written_with_the_differences_of_another_is_equal_unless_a_row_changed():
    text = page.write(FOUND)
    smaller = {CONV: Record({"torch.nn.Conv2d", FORMULA}, 1e-15, 0.0), RELU: Record({FORMULA})}
    assert page.write(smaller, page.stated_on(text)) == text
    smaller[CONV].peers.remove(FORMULA)
    assert page.write(smaller, page.stated_on(text)) != text


@pytest.mark.verify
def test_the_page_is_what_this_run_compared(torch, keras, sklearn):
    """Differences may be smaller than the page states. `python -m tests.parity` writes it."""
    text = page.PAGE.read_text()
    stated = page.stated_on(text)
    assert stated.keys() == RECORDS.keys()
    assert page.larger(RECORDS, stated) == {}
    assert page.write(RECORDS, stated) == text
    for name in set.union(*(record.peers for record in RECORDS.values())) - {FORMULA}:
        pkgutil.resolve_name(name)
