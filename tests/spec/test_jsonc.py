"""JSON with comments, parsed strictly and written."""

import pytest

from nnreg import SpecError
from nnreg.spec import jsonc
from nnreg.spec.jsonc import loads
from tests.helpers.work import CPU_SECONDS, cpu_seconds


def test_comments_and_trailing_commas_are_accepted():
    text = '{// one\n"a": [1, 2, /* two */ 3, // last\n],\n"b": {"c": "d",},}'
    assert loads(text) == {"a": [1, 2, 3], "b": {"c": "d"}}


def test_comment_markers_in_a_string_are_kept():
    assert loads(r'["http://x", "/* no */", "a\"// b", ",]"]') == [
        "http://x", "/* no */", 'a"// b', ",]"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ('{"a": {"b": 1, "b": 2}}', "$.a.b", "duplicate key"),
        ('{"a": [0, NaN]}', "$.a[1]", "NaN"),
        ('{"a": 1e999}', "$.a", "infinite"),
        (r'{"a": "\ud800"}', "$.a", "unpaired surrogate"),
        (r'{"a": {"\ud800": 1}}', r"$.a.\ud800", "surrogate"),
        ('{"a": 1', "$", "not JSON: Expecting ',' delimiter"),
        ("{\n// c\n 'a': 1}", "$", "not JSON: Expecting property name"),
        ("[" * 40_000, "$", "nested too deep"),
        (f'{{"a": {"9" * 5000}}}', "$", "not JSON"),
    ],
)
def test_invalid_json_is_reported_with_its_path(text, path, message):
    with pytest.raises(SpecError) as caught:
        loads(text)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert message in problem.message


def test_a_truncated_text_is_located_at_its_end():
    with pytest.raises(SpecError) as caught:
        loads('{"a": [1, 2\n\n\n', "a.json")
    assert str(caught.value.problems[0].location) == "a.json:1:12"


@pytest.mark.parametrize(
    "text",
    [
        "," + "/**/" * 1_000_000 + "x",
        "/*" * 1_000_000,
        '"' + r"\"" * 1_000_000,
        "," * 1_000_000 + " " * 1_000_000,
        "{" + ",".join(['"a":1'] * 1_000_000) + "}",
    ],
    ids=["comments after a comma", "open comments", "open quotes", "commas", "one key"],
)
def test_no_text_takes_long_to_parse(text):
    def refused():
        with pytest.raises(SpecError):
            loads(text)

    assert cpu_seconds(refused) < CPU_SECONDS


def test_at_most_a_hundred_levels_are_read():
    assert loads("[" * 100 + "]" * 100)
    with pytest.raises(SpecError, match="nested too deep: more than 100"):
        loads("[" * 102 + "]" * 102)


def test_a_long_list_of_problems_is_truncated_only_in_the_message():
    with pytest.raises(SpecError) as caught:
        loads("[" + ",".join(["NaN"] * 60) + "]")
    assert len(caught.value.problems) == 60
    assert str(caught.value).endswith("  and 10 more")


def test_a_text_of_too_many_values_is_not_parsed():
    with pytest.raises(SpecError, match="too large: about 50,001 values"):
        loads("[" + ",".join("1" * 50_001) + "]")


def test_all_problems_are_reported_together():
    with pytest.raises(SpecError) as caught:
        loads('{"a": NaN, "b": [Infinity], "c": 1, "c": 2}')
    assert [problem.path for problem in caught.value.problems] == ["$.c", "$.a", "$.b[0]"]


def test_json_with_comments_reads_back_equal():
    tree = {
        "a": {"b": [1, {"c": "//"}], "d": {}, "e": []},
        "f": [["x" * 90], 1.5, None],
        "日": True,
    }
    comments = {"$": "first", "$.a.b[1].c": "two\nlines", "$.f": "word " * 40, "$.nowhere": "x"}
    text = jsonc.dumps(tree, comments)
    assert jsonc.loads(text) == tree
    assert max(map(len, text.splitlines())) <= 104
    for line in ("  // first", "        // two", "        // lines"):
        assert line in text.splitlines()
    assert jsonc.loads(jsonc.dumps({}, {})) == {}
