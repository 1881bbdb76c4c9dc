"""The page of verified components lists all of them, with what a run of all comparisons finds."""

import pkgutil

import pytest

from tests.parity import page
from tests.parity.comparison import FORMULA, RECORDS


def test_every_built_in_component_is_on_the_page_or_has_no_peer():
    listed = page.stated_on(page.PAGE.read_text())
    assert listed.keys() == set(page.built_in()) - page.ALONE.keys()


@pytest.mark.verify
def test_the_page_is_what_this_run_compared(torch, keras, sklearn):
    """Differences may be smaller than the page states. `python -m tests.parity` writes it."""
    text = page.PAGE.read_text()
    stated = page.stated_on(text)
    assert stated.keys() == RECORDS.keys()
    larger = {
        key: found
        for key, record in RECORDS.items()
        if record.values > float(stated[key][0])
        or (record.gradients or 0) > float(stated[key][1] or 0)
        for found in [page.orders(record)]
    }
    assert larger == {}
    assert page.write(RECORDS, stated) == text
    for name in set.union(*(record.peers for record in RECORDS.values())) - {FORMULA}:
        pkgutil.resolve_name(name)
