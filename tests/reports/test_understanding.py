"""The sections of a report on the importance of columns, and on confidence and accuracy."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg.model.calibration import reliability
from nnreg.model.importance import importance_on
from nnreg.plotting.bars import bars
from nnreg.plotting.html import format_value
from nnreg.reports import understanding
from nnreg.reports.predictions import predict_held_out
from nnreg.runs.prepare import prepare_from_checkpoint
from tests.helpers.specs import blobs, classifier
from tests.reports.page import page_of

SVG = "{http://www.w3.org/2000/svg}"


def text_of(file):
    return [one.text for one in ET.parse(file).iter(f"{SVG}text")]


def test_the_report_has_the_importance_that_is_computed_for_the_test_split(spec):
    nnreg.run(spec, out="out")
    page = page_of("out")
    assert "Importance of the columns" in page.text_of("h2")
    prepared = prepare_from_checkpoint(nnreg.load("out"))
    found = importance_on(prepared.model, prepared.test)
    drawn = text_of("out/plots/importance.svg")
    names = [text for text in drawn if text in ("place", "a", "b", "c", "d")]
    assert names == [one.column for one in found.columns]
    assert f"Accuracy on 30 test rows: {format_value(found.value)}." in page.text_of("p")
    assert "share their importance" in page.text_of("p")


def test_the_report_has_the_bins_of_confidence_and_accuracy(spec):
    nnreg.run(spec, out="classes")
    page = page_of("classes")
    assert "Confidence and accuracy" in page.text_of("h2")
    prepared = prepare_from_checkpoint(nnreg.load("classes"))
    (one,) = predict_held_out(prepared).values()
    found = reliability(one.confidence, one.true_values == one.predictions)
    assert f"on 30 test rows: {format_value(found.error)}" in page.text_of("p")
    for bin_ in found.bins:
        assert f"{bin_.low:.2f} to {bin_.high:.2f}" in page.text_of("th")
        assert f"{bin_.confidence:.3f}" in page.text_of("td")
    assert Path("classes/plots/calibration.svg").exists()


def test_numbers_have_no_confidence(numbers):
    nnreg.run(numbers, out="numbers")
    assert "Confidence and accuracy" not in page_of("numbers").text_of("h2")


def test_a_single_column_has_no_importance(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = blobs()
    np.savez("data.npz", x=x, y=np.unique(y, return_inverse=True)[1])
    data = {"source": "npz", "path": "data.npz", "target": "y"}
    (tmp_path / "spec.json").write_text(json.dumps(classifier(data=data)))
    nnreg.run("spec.json", out="out")
    assert "Importance of the columns" not in page_of("out").text_of("h2")


def test_a_table_with_too_many_columns_refers_to_the_command(spec, monkeypatch):
    nnreg.run(spec, out="out")
    monkeypatch.setattr(understanding, "MAX_SECONDS", 1e-9)
    page = page_of("out")
    assert "nnreg evaluate RUN --importance" in page.text_of("code")
    assert not Path("out/plots/importance.svg").exists()


def test_only_the_most_important_columns_are_drawn(spec, monkeypatch):
    nnreg.run(spec, out="out")
    monkeypatch.setattr(understanding, "MAX_BARS", 2)
    assert "The 2 most important of 5 columns are shown." in page_of("out").text_of("p")
    assert len(ET.parse("out/plots/importance.svg").findall(f"{SVG}rect")) == 3  # and the paper


@pytest.mark.parametrize("sign", [1, -1])
def test_bars_reach_from_zero_to_the_value_and_errors_to_both_sides(sign):
    drawing = bars(["a", "b", "c"], [sign * 2.0, sign * 1.0, np.nan], [0.5, None, None], "d", "l")
    drawn = "".join(drawing.elements)
    widths = [float(width) for width in re.findall(r'<rect[^>]* width="([\d.]+)"', drawn)]
    assert len(widths) == 2
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.11)
    (error,) = [one for one in drawing.elements if 'stroke-width="1.5"' in one]
    start, end = map(float, re.match(r'<path d="M([\d.]+) [\d.]+H([\d.]+)', error).groups())
    assert end - start == pytest.approx(widths[1], abs=0.2)
    ET.fromstring(drawing.file())


def test_bars_show_names_from_data_as_text():
    drawing = bars(["<b>&\x1b"], [0.0], [0.0], "<i>", "<u>")
    assert "b" not in {one.tag.removeprefix(SVG) for one in ET.fromstring(drawing.file()).iter()}
