"""Dates, labels and ordered categories are recognized, and what looks like them is not."""

import pytest

from nnreg.starter.text_kinds import are_label_lists, date_options, known_order, separator_of


@pytest.mark.parametrize(
    ("texts", "formats"),
    [
        (["2024-07-31", "2024-08-01T08:30"], [None]),
        (["08:30", "12:15"], [None]),
        (["31/07/2024", "01/02/2024"], ["%d/%m/%Y"]),
        (["07/31/2024", "01/02/2024"], ["%m/%d/%Y"]),
        (["01/02/2024", "03/04/2024"], ["%d/%m/%Y", "%m/%d/%Y"]),
        (["31.07.2024 08:30", "01.08.2024 09:00"], ["%d.%m.%Y %H:%M"]),
        (["31 Jul 2024", "1 Aug 2024"], ["%d %b %Y"]),
        (["July 31, 2024", "May 1, 2024"], ["%B %d, %Y"]),
        (["room 1", "room 2"], []),
        (["north", "south"], []),
    ],
)
def test_dates_are_read_by_the_formats_that_fit(texts, formats):
    assert [one.get("format") for one in date_options(texts)] == formats


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        (["M", "S", "XL"], ("XXS", "XS", "S", "M", "L", "XL", "XXL", "XXXL")),
        (["High", "Low", "Medium"], ("Very Low", "Low", "Medium", "High", "Very High")),
        (["good", "Poor", "fair"], ("Poor", "fair", "good")),
        (["Sat", "Sun", "Mon"], ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")),
        (["red", "low", "high"], ()),
        (["low", "high"], ()),
        (["low", "Low", "high"], ()),
    ],
)
def test_well_known_orders_are_written_as_the_texts(texts, order):
    assert known_order(texts) == order


def test_labels_are_recognized_by_what_cells_share():
    assert separator_of({"a;b": 10, "b": 10, "a": 10, "b; c": 9, "a;c": 9}) == ";"
    assert separator_of({"a|b": 10, "b|c": 10, "a|c": 10, "a": 2}) == "|"
    assert separator_of({f"Town {i}, TX": 10 for i in range(9)}) == ""
    assert separator_of({"a;a": 9, "b": 9, "c;b": 9, "a;b": 9}) == ""
    assert separator_of({"a;b": 1, "b;c": 1, "c;a": 1, "a": 1}) == ""


def test_lists_of_labels_are_told_from_sequences():
    lists = {'["a"]': 20, '["a", "b"]': 20, "[]": 5, '["b"]': 9}
    assert are_label_lists(lists)
    assert not are_label_lists({**lists, '["a", "a"]': 9})
    assert not are_label_lists({"[1, 2]": 20, "[2]": 9, "[1]": 9})
