"""The source location of the value at a path of a JSON text."""

import pytest

from nnreg.errors import MAX_EXCERPT_WIDTH, SourceLocation
from nnreg.spec.source_text import SourceText, parent

TEXT = """{
  // "seed": 1, a comment with a key
  "seed": 0, /* "a": { */
  "model": {"layers": [
    {"type": "dense", "units": [1, {"é \\"x": "ä"}]},
    "relu"
  ]},
  "wide": "日本", "last": 1.5e3
}"""


@pytest.mark.parametrize(
    ("path", "of_key", "line", "column", "shown"),
    [
        ("$", False, 1, 1, "{"),
        ("$.seed", False, 3, 11, "0"),
        ("$.seed", True, 3, 3, '"seed"'),
        ("$.model", False, 4, 12, "{"),
        ("$.model.layers[0]", False, 5, 5, '{"type": "dense", "units": [1, {"é \\"x": "ä"}]}'),
        ("$.model.layers[0].units[1].é \"x", False, 5, 46, '"ä"'),
        ("$.model.layers[1]", False, 6, 5, '"relu"'),
        ("$.last", False, 8, 25, "1.5e3"),
        ("$.model.layers[1].slope", False, 6, 5, '"relu"'),
        ("$.nowhere.at.all", True, 1, 1, "{"),
    ],
)  # fmt: skip
def test_a_path_is_found_by_line_and_column(path, of_key, line, column, shown):
    location = SourceText("a.json", TEXT).find(path, of_key)
    assert str(location) == f"a.json:{line}:{column}"
    assert location.text[location.column - 1 :][: location.width] == shown


def test_the_last_of_two_duplicate_keys_is_found():
    assert SourceText("a.json", '{"a": 1,\n"a": 2}').find("$.a", of_key=True).line == 2


@pytest.mark.parametrize("text", ["", "}", ']]{"', '{"a', "[1, 2", '{"a": [}', "///", "/", "::,,"])
def test_invalid_json_has_source_locations_too(text):
    assert SourceText("a.json", text).find("$.a[1].b").line == 1


def test_carets_are_aligned_below_wide_characters_and_tabs():
    line, carets = SourceText("a.json", '{\t"日": "本", "x": 3}').find("$.x").excerpt()
    assert line == '     1 | { "日": "本", "x": 3}'
    assert carets == "       |" + " " * 20 + "^"


def test_the_excerpt_of_a_long_line_is_around_the_location():
    text = "[" + ", ".join(f'"{number}"' for number in range(1000)) + "]"
    for index in (0, 500, 999):
        line, carets = SourceText("a.json", text).find(f"$[{index}]").excerpt()
        start = carets.index("^")
        assert line[start : start + carets.count("^")] == f'"{index}"'
        assert len(line) <= MAX_EXCERPT_WIDTH + 11
    assert line.startswith("     1 | …")


def test_a_byte_order_mark_shifts_no_column():
    location = SourceText("a.json", '\ufeff{"a": 1,\r\n"b": 2}\r\n').find("$.a")
    assert (location.column, location.excerpt()[0]) == (7, '     1 | {"a": 1,')


def test_an_empty_line_has_an_excerpt():
    assert SourceLocation("a.json", 1, 1, 1, "").excerpt()[1].endswith(" ^")


def test_the_parents_of_a_path_end_at_the_root():
    path, steps = "$.a[0].b", []
    while path != "$":
        path = parent(path)
        steps.append(path)
    assert steps == ["$.a[0]", "$.a", "$"]
    assert parent("$[3]") == "$"
