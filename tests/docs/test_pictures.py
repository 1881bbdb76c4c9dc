"""The pictures of README, how-tos and lessons are up to date."""

import re
from xml.etree import ElementTree

import pytest

from docs import pictures
from nnreg.plotting.palette import GREEN, INK
from tests.helpers.doc_runner import ROOT, masked, require_shown

SPACE = "{http://www.w3.org/2000/svg}"


def lines(svg):
    """Return the text of a picture, line by line."""
    found = {}
    for text in ElementTree.fromstring(svg).iter(f"{SPACE}text"):
        found.setdefault(text.get("y"), []).append(text.text)
    return "\n".join(" ".join(texts) for texts in found.values())


def committed(name):
    return (ROOT / "docs/_static" / name).read_text()


def test_the_pictures_show_the_current_output(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "STATIC", tmp_path)
    pictures.main()
    terminal, loss = (lines((tmp_path / name).read_text()) for name in ("terminal.svg", "loss.svg"))
    shown = masked(lines(committed("terminal.svg")))
    shown = re.sub(r"[\u2581-\u2588]+", "…", shown)  # the curve of the live line
    require_shown(shown, terminal, exact=False)
    assert len(terminal.splitlines()) == len(shown.splitlines())
    require_shown(lines(committed("loss.svg")), loss, exact=False)
    overfitting = lines((tmp_path / "overfitting.svg").read_text())
    require_shown(lines(committed("overfitting.svg")), overfitting, exact=False)
    for name in ("single_neuron.svg", "two_layer.svg"):
        require_shown(lines(committed(name)), lines((tmp_path / name).read_text()), exact=True)


@pytest.mark.parametrize(
    ("name", "lesson"), [("single_neuron", "one-neuron"), ("two_layer", "two-layers")]
)
def test_the_numbers_of_a_network_are_those_of_its_lesson(name, lesson):
    text = (ROOT / f"docs/lessons/{lesson}.md").read_text()
    printed = {float(number) for number in re.findall(r"-?\d+\.\d*", text)}
    numbers = re.findall(r"-?\d+\.\d{4}", lines(committed(f"{name}.svg")))
    assert len(numbers) == {"single_neuron": 5, "two_layer": 21}[name]
    assert {float(number) for number in numbers} <= printed


@pytest.mark.parametrize("name", ["terminal", "loss", "overfitting", "single_neuron", "two_layer"])
def test_a_picture_is_self_contained_and_has_a_dark_mode(name):
    svg = committed(f"{name}.svg")
    assert "prefers-color-scheme: dark" in svg
    assert not re.search(r"<script|@font-face|@import|href|url\(", svg)


def test_characters_of_the_same_style_are_one_segment():
    screen = pictures.pyte.Screen(pictures.COLUMNS, 2)
    pictures.pyte.Stream(screen).feed("a <b>  \x1b[1;32mgo\x1b[0m!")
    assert list(pictures.segments(screen, 0)) == [
        (0, "a", ("", INK)), (2, "<b>", ("", INK)),
        (7, "go", (' font-weight="700"', GREEN)), (9, "!", ("", INK)),
    ]  # fmt: skip
    svg = pictures.terminal(screen, "<title>")
    assert "&lt;b&gt;" in svg
    assert "<title>&lt;title&gt;" in svg
