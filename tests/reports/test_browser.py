"""Reports in a real browser: complete, without errors, and no wider than the screen."""

import os

import pytest

import nnreg
from nnreg.reports.report import report
from tests.helpers.browser import Browser, chromium
from tests.helpers.paths import MODELS
from tests.reports.page import NASTY, write_csv

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        chromium() is None and "NNREG_VERIFY" not in os.environ,  # with it, a skip is an error
        reason="needs Chromium, which .ci/run installs",
    ),
]

CHANGES = {
    "penguins": [],
    "diabetes": [],
    "digits_conv": ["train.epochs=2"],
    "three_dense": ["train.epochs=3"],
    "diverged": ["optimizer.learning_rate=1e9"],
    "folds": ["train.folds=3", "train.epochs=3"],
}
WIDTHS = {"desktop": 1280, "phone": 375, "small phone": 320}


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs")
    found = {}
    for name, changes in CHANGES.items():
        spec = MODELS / f"{'diabetes' if name in ('diverged', 'folds') else name}.json"
        try:
            nnreg.run(spec, out=directory / name, overrides=changes)
        except nnreg.DivergedError:
            assert name == "diverged"
        found[name] = report(directory / name)
    return found


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    """Return the page of a run whose data has very long names and names with HTML."""
    directory = tmp_path_factory.mktemp("nasty")
    long = ["x" * 300, "word " * 60, "W" * 40, *NASTY]
    head = ["y", *(f"{name}{'z' * 100}" for name in long)]
    rows = [[long[i % len(long)], *((i * j) % 17 for j in range(len(long)))] for i in range(120)]
    write_csv(directory / "data.csv", head, rows)
    spec = {
        "data": {"source": "csv", "path": str(directory / "data.csv"), "target": "y",
                 "split": {"test": 0.3, "stratify": True}},
        "model": {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]},
        "loss": "cross_entropy", "optimizer": "adam", "train": {"epochs": 2},
    }  # fmt: skip
    nnreg.run(spec, out=directory / ("run" * 40))
    return report(directory / ("run" * 40))


OVERFLOW = """[...document.querySelectorAll('body *')].filter(e => {
  const scrolls = p => p && (getComputedStyle(p).overflowX == 'auto' || scrolls(p.parentElement));
  return e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e.parentElement);
}).map(e => e.outerHTML.slice(0, 80))"""

EMPTY = """[...document.querySelectorAll('section, figure, table, td, th, dd, p, pre, svg, img')]
  .filter(e => e.closest('details') == null)
  .filter(e => { const b = e.getBoundingClientRect(); return b.width < 5 || b.height < 5 })
  .map(e => e.outerHTML.slice(0, 80))"""

PICTURES = "[...document.images].every(i => i.complete && i.naturalWidth > 0)"

CUT = """[...document.querySelectorAll('figure svg')].flatMap(svg => {
  const outer = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(t => {
    const b = t.getBoundingClientRect();
    return b.left < outer.left - 2 || b.right > outer.right + 2 || b.bottom > outer.bottom + 2;
  }).map(t => t.textContent);
})"""

FAINT = """(() => {
  const numbers = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => numbers(c).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (numbers(c)[3] !== 0) return c;
    }
    return 'rgb(255, 255, 255)';
  };
  const text = 'h1, h2, h3, p, td, th, dt, dd, li, figcaption, code, summary, span';
  return [...document.querySelectorAll(text)]
    .map(e => [e, light(getComputedStyle(e).color), light(ground(e))])
    .filter(([e, a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5)
    .map(([e]) => e.outerHTML.slice(0, 80));
})()"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [*CHANGES, "nasty"])
def test_a_report_is_complete_without_errors_and_no_wider_than_the_screen(
    browser, pages, nasty, name, width
):
    page = nasty if name == "nasty" else pages[name]
    browser.show(page, WIDTHS[width])
    requested = [url for url in browser.requests if not url.startswith("data:")]
    assert requested == [page.resolve().as_uri()]
    assert browser.complaints == []
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert browser.evaluate(OVERFLOW) == []
    assert browser.evaluate(EMPTY) == []
    assert browser.evaluate(PICTURES)
    assert browser.evaluate(CUT) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast_in_light_and_dark_mode(browser, pages, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.call("Emulation.setEmulatedMedia", features=[feature])
    browser.show(pages["penguins"], 1280)
    dark = "getComputedStyle(document.body).backgroundColor != 'rgb(254, 254, 254)'"
    assert browser.evaluate(dark) == (scheme == "dark")
    assert browser.evaluate(FAINT) == []
    browser.call("Emulation.setEmulatedMedia", features=[])


def test_a_report_prints_on_a_few_pages(browser, pages, tmp_path):
    browser.show(pages["penguins"], 1280)
    browser.pdf(tmp_path / "report.pdf")
    count = (tmp_path / "report.pdf").read_bytes().count(b"/Type /Page\n")
    assert 1 < count <= 6


def test_the_browser_checks_detect_errors(browser, tmp_path):
    page = tmp_path / "wrong.html"
    page.write_text(
        "<body><img src='http://127.0.0.1:9/x.png'><script>boom()</script>"
        "<p style='width: 3000px'>wide</p><p></p><p style='color: #eee'>faint</p>"
    )
    browser.show(page, 375)
    assert len(browser.requests) == 2
    assert any("boom" in text for text in browser.complaints)
    assert browser.evaluate(OVERFLOW)
    assert browser.evaluate(EMPTY)
    assert browser.evaluate(FAINT)
    assert not browser.evaluate(PICTURES)
