"""The form in a report predicts what the model predicts, in a real browser and from a file."""

import json
import os
import re

import numpy as np
import pytest

import nnreg
from nnreg.reports import live_model as module
from nnreg.reports.live_model import live_model
from nnreg.reports.report import report
from tests.helpers.browser import Browser, chromium
from tests.helpers.paths import MODELS
from tests.helpers.specs import blobs, classifier
from tests.reports.page import NASTY, Page, write_csv

in_chromium = [
    pytest.mark.slow,
    pytest.mark.skipif(
        chromium() is None and "NNREG_VERIFY" not in os.environ,  # with it, a skip is an error
        reason="needs Chromium, which .ci/run installs",
    ),
]
HOSTILE = [*NASTY, "</ScRiPt><b>", "<!--<script>", "a\u2028b", "__proto__", "x' onfocus='alert(1)"]

VALUES = "[...document.querySelectorAll('#live output')].map(o => Number(o.title))"
ROW = """Object.fromEntries([...document.querySelectorAll('#live [data-column]')]
  .map(e => [e.dataset.column, e.value]))"""
CHANGE = """(([name, value]) => {
  const input = [...document.querySelectorAll('#live [data-column]')]
    .find(e => e.dataset.column === name);
  input.value = value;
  input.dispatchEvent(new Event('input'));
})(%s)"""


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


def change(browser, name, value):
    browser.evaluate(CHANGE % json.dumps([name, value]))
    return browser.evaluate(VALUES)


def run(path, spec, **changes):
    model = nnreg.run(spec, out=path, overrides=changes)
    return model, report(path)


@pytest.fixture(scope="module")
def penguins(tmp_path_factory):
    return run(tmp_path_factory.mktemp("runs") / "penguins", MODELS / "penguins.json")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "several"
    return run(path, MODELS / "two_outputs.json", **{"train.epochs": 3})


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Train on columns and categories whose names end a script, or begin one."""
    directory = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    count = len(HOSTILE)
    rows = [
        [HOSTILE[i % 3], HOSTILE[i % count], *rng.normal(size=3).round(3)] for i in range(8 * count)
    ]
    head = ["target", "</script><script>alert(1)</script>", "<!--<script>", "__proto__", "a\u2028b"]
    write_csv(directory / "data.csv", head, rows)
    data = {"source": "csv", "path": str(directory / "data.csv"), "target": "target"}
    return run(directory / "</script>", classifier(data=data, train={"epochs": 2}))


def row_of(browser):
    """Return the row in the form as the model takes it."""
    given = browser.evaluate(ROW)
    return {name: [float(v) if re.fullmatch(r"-?[\d.]+", v) else v] for name, v in given.items()}


class TestInChromium:
    pytestmark = in_chromium

    @pytest.mark.parametrize("name", ["penguins", "several", "hostile"])
    def test_the_form_begins_with_a_row_and_its_predictions(self, browser, request, name):
        model, page = request.getfixturevalue(name)
        browser.show(page, 1100)
        assert browser.complaints == []
        requested = [url for url in browser.requests if not url.startswith("data:")]
        assert len(requested) == 1
        assert not browser.evaluate("document.getElementById('live').hidden")
        row = row_of(browser)
        assert set(row) == set(model.preprocessing.names)
        answers = model.probabilities(row)
        if isinstance(answers, dict):
            answers = {"price": model.predict(row)["price"][:, None], **answers}
            answers = np.concatenate([answers[o] for o in model.outputs], axis=1)
        np.testing.assert_allclose(browser.evaluate(VALUES), answers[0], atol=1e-5, rtol=1e-5)
        assert browser.evaluate("typeof predict") == "undefined"

    def test_a_changed_value_is_predicted_as_by_the_model(self, browser, penguins):
        model, page = penguins
        browser.show(page, 400)
        row = {name: values[0] for name, values in row_of(browser).items()}
        for name, value in [("island", "Dream"), ("bill_length_mm", 39.1), ("body_mass_g", 3000)]:
            row[name] = value
            found = change(browser, name, str(value))
            np.testing.assert_allclose(found, model.predict([row])[0], atol=1e-5)
        chosen = browser.evaluate("document.querySelector('#live .chosen dt').textContent")
        assert chosen == model.classify([row])[0]
        width = browser.evaluate("document.querySelector('#live .chosen .bar > div').style.width")
        assert float(width.strip("%")) == pytest.approx(100 * max(found), abs=0.01)
        assert browser.complaints == []

    def test_a_slider_changes_the_field_and_the_prediction(self, browser, penguins):
        model, page = penguins
        browser.show(page, 1100)
        row = {name: values[0] for name, values in row_of(browser).items()}
        browser.evaluate("""(() => {
          const slider = document.querySelector('#live [type=range]');
          slider.value = 35.5;
          slider.dispatchEvent(new Event('input'));
        })()""")
        assert row_of(browser)["bill_length_mm"] == [35.5]
        expected = model.predict([{**row, "bill_length_mm": 35.5}])[0]
        np.testing.assert_allclose(browser.evaluate(VALUES), expected, atol=1e-5)

    def test_an_empty_field_is_a_missing_value(self, browser, penguins):
        model, page = penguins
        browser.show(page, 1100)
        row = {name: values[0] for name, values in row_of(browser).items()}
        found = change(browser, "bill_depth_mm", "")
        expected = model.predict([{**row, "bill_depth_mm": None}])[0]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        browser.evaluate(
            "(() => { const s = document.getElementById('live-5'); s.selectedIndex = 2;"
            " s.dispatchEvent(new Event('input')); })()"
        )
        expected = model.predict([{**row, "bill_depth_mm": None, "sex": None}])[0]
        np.testing.assert_allclose(browser.evaluate(VALUES), expected, atol=1e-5)

    def test_a_value_that_the_model_does_not_take_is_a_message(self, browser, tmp_path):
        x, y = blobs()
        rows = [[label, *row] for label, row in zip(y, x.round(3), strict=True)]
        write_csv(tmp_path / "data.csv", ["y", "a", "b", "c", "d"], rows)
        data = {"source": "csv", "path": str(tmp_path / "data.csv"), "target": "y",
                "missing": "refuse"}  # fmt: skip
        _, page = run(tmp_path / "run", classifier(data=data, train={"epochs": 1}))
        browser.show(page, 1100)
        assert change(browser, "b", "") == [0, 0, 0]
        message = "document.querySelector('#live [role=status]').textContent"
        assert browser.evaluate(message) == "column 'b': expected a value, found none"
        assert max(change(browser, "b", "1")) > 0
        assert browser.evaluate(message) == ""

    def test_another_script_is_blocked(self, browser, penguins, tmp_path):
        page = tmp_path / "page.html"
        page.write_text(penguins[1].read_text().replace("</main>", "<script>x = 1</script></main>"))
        browser.show(page, 1100)
        assert browser.evaluate("typeof x") == "undefined"
        assert len(browser.complaints) == 1

    def test_without_scripts_the_page_is_as_before(self, browser, penguins):
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        try:
            browser.show(penguins[1], 1100)
            assert browser.evaluate("document.getElementById('live').hidden")
            assert browser.complaints == []
        finally:
            browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_the_script_of_a_small_table_is_small(penguins):
    script = re.search(r"<script.*</script>", penguins[1].read_text(), re.DOTALL)[0]
    assert len(script) < 10_000


def test_names_from_data_cannot_end_the_script(hostile):
    html = hostile[1].read_text()
    assert len(re.findall("<script", html, re.IGNORECASE)) == 1
    assert len(re.findall("</script", html, re.IGNORECASE)) == 1
    assert "<!--" not in html.replace("<!DOCTYPE", "")
    assert "\u2028" not in html
    page = Page(html)
    assert not [name for _, attributes in page.tags for name in attributes if name[:2] == "on"]
    named = {a["data-column"] for _, a in page.tags if "data-column" in a}
    assert named == {*hostile[0].preprocessing.names}


def test_a_model_that_is_too_large_or_is_not_of_rows_has_none(several, monkeypatch):
    model, _ = several
    assert live_model(model) is not None
    for name, value in (("MAX_BYTES", 5_000), ("MAX_INPUTS", 3), ("MAX_VALUES", 3)):
        with monkeypatch.context() as changed:
            changed.setattr(module, name, value)
            assert live_model(model) is None
    x = np.random.default_rng(0).normal(size=(20, 4, 4))
    layers = [{"type": "flatten"}, {"type": "dense", "units": "classes", "activation": "softmax"}]
    images = nnreg.build(classifier(model={"layers": layers}), data=(x, ["a", "b"] * 10))
    assert live_model(images) is None


def test_a_plugin_that_cannot_be_exported_is_no_error(several, monkeypatch):
    def fail(_):
        raise RuntimeError("a bug of a plugin")

    monkeypatch.setattr(module, "program_of", fail)
    assert live_model(several[0]) is None


@pytest.mark.parametrize(
    ("values", "kind", "value"),
    [
        (["2024-07-31", "2024-08-02"], "date", "2024-07-31"),
        (["2024-07-31T08:30:00", "2024-08-02T11:00:00"], "datetime-local", "2024-07-31T08:30"),
        (["08:30", "11:00"], "time", "00:00"),
    ],
)
def test_a_date_has_a_field_for_dates(values, kind, value):
    data = {"source": "csv", "path": "-", "target": "y", "columns": {"when": "date"}}
    x = {"when": values * 10, "a": np.arange(20.0)}
    model = nnreg.build(classifier(data=data), data=(x, ["a", "b"] * 10))
    html = live_model(model).html
    field = next(a for tag, a in Page(html).tags if tag == "input" and a["type"] == kind)
    assert (field["data-column"], field["value"]) == ("when", value)
