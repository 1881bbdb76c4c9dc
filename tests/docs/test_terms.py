"""A page of the documentation is found by the words that people look for."""

import re

import pytest

from tests.helpers.paths import ROOT

HOWTO = ROOT / "docs/howto"
INDEX = (HOWTO / "index.md").read_text()

REQUIRED = [
    "overfitting", "regularization", "imbalanced classes", "hyperparameters", "train/test split",
    "time series", "GPU", "deployment", "ONNX", "scikit-learn", "ensemble", "cross-validation",
]  # fmt: skip


def terms():
    """Return the page and the anchor, or "", to which each term of the index leads first."""
    table = INDEX.partition("## By term")[2].partition("## By command")[0]
    found = {}
    for words, link in re.findall(r"^\| (\w[^|]*) \| \[.*?\]\((.*?)\)", table, re.M):
        page, _, anchor = link.partition("#")
        found |= dict.fromkeys(words.split(", "), (page, anchor))
    return found


def heading(page, anchor):
    """Return the title of a page, or its heading with this anchor."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page, flags=re.S | re.M), re.M)
    return headings[0] if not anchor else next(h for h in headings if h.lower() == anchor)


@pytest.mark.parametrize("term", REQUIRED)
def test_a_term_leads_to_a_page_or_section_with_it_in_the_heading(term):
    (place,) = [place for word, place in terms().items() if word.lower() == term.lower()]
    page, anchor = place
    assert term.lower() in heading((HOWTO / page).read_text(), anchor).lower()


def test_the_terms_are_in_alphabetical_order():
    rows = re.findall(r"^\| (\w[^|]*) \| \[", INDEX.partition("## By term")[2], re.M)
    assert len(rows) > 30
    assert rows == sorted(rows, key=str.lower)


def test_every_how_to_is_in_a_group_of_the_index():
    groups = re.findall(r"```{toctree}\n(.*?)```", INDEX, re.S)
    listed = re.findall(r"^[a-z-]+$", "\n".join(groups), re.M)
    pages = {path.stem for path in HOWTO.glob("*.md")} - {"index"}
    assert sorted(listed) == sorted(pages)
