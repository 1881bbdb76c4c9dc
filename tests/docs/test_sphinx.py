"""The documentation is built without warnings, and the reference is complete."""

import dataclasses
import html
import importlib.util
import json
import os
import subprocess
import sys

import pytest

import nnreg
from nnreg.cli.app import cli, main
from nnreg.registry.registry import installed
from nnreg.spec.sections import SECTIONS
from tests.docs.test_terms import terms
from tests.helpers.browser import Browser, chromium
from tests.helpers.paths import ROOT
from tests.reports.test_browser import PICTURES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the documentation without warnings and return its directory."""
    has_sphinx = importlib.util.find_spec("sphinx") is not None
    if not has_sphinx and not os.environ.get("NNREG_VERIFY"):
        pytest.skip("Sphinx is not installed; it comes with the group 'docs'")
    directory = tmp_path_factory.mktemp("docs")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-n",
        "-q",
        *("-D", "gallery_epochs=2"),  # tests/parity trains the models
        "docs",
        str(directory),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return directory


def test_the_reference_has_all_components_functions_and_commands(built):
    reference = html.unescape("".join(page.read_text() for page in built.glob("reference/*.html")))
    names = [entry.name for entry in installed() if entry.plugin == "nnreg"]
    names += set(nnreg.__all__) - {"Array", "Shape", "hookimpl"}
    names += ["NNClassifier", "NNRegressor"]
    with pytest.raises(SystemExit):
        main(["--help"])  # commands are registered on first use
    names += [f"nnreg {command}" for command in cli.commands]
    for name in names:
        assert f'<h2>{name}<a class="headerlink"' in reference, name
    spec = (built / "reference/spec.html").read_text()
    for section in SECTIONS:
        for field in dataclasses.fields(section):
            assert f">{field.name}</span>" in spec, (section, field.name)


TOO_WIDE = """[...document.querySelectorAll('article *')].filter(e => {
  const scrolls = p => p.tagName != 'ARTICLE'
    && (getComputedStyle(p).overflowX == 'auto' || scrolls(p.parentElement));
  return e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e.parentElement);
}).map(e => e.outerHTML.slice(0, 80))"""


def test_the_gallery_has_all_models_whose_data_are_in_the_repository(built):
    models = {path.stem for path in (ROOT / "models").glob("*.json")} - {"mnist"}
    assert {path.stem for path in (built / "reports").glob("*.html")} == models


FOUND = """Search._performSearch(...Search._parseQuery(%s)).map(result => result[0]).reverse()"""
"""The pages that the search of Sphinx finds, the best first."""

needs_chromium = pytest.mark.skipif(
    chromium() is None and "NNREG_VERIFY" not in os.environ,  # with it, a skip is an error
    reason="needs Chromium, which .ci/run installs",
)


@needs_chromium
def test_the_search_for_a_term_of_the_index_finds_its_page_first(built):
    with Browser() as browser:
        browser.show(built / "search.html", 1280)
        for term, (page, _) in terms().items():
            found = browser.evaluate(FOUND % json.dumps(term))
            wanted = os.path.normpath(f"howto/{page}").removesuffix(".md")
            assert found[:1] == [wanted], (term, found[:5])


@needs_chromium
@pytest.mark.parametrize("width", [1280, 375])
def test_every_page_is_without_errors_and_no_wider_than_the_screen(built, width):
    with Browser() as browser:
        for page in built.rglob("*.html"):
            browser.show(page, width)
            external = [url for url in browser.requests if not url.startswith(("file:", "data:"))]
            assert (page.name, external, browser.complaints) == (page.name, [], [])
            assert browser.evaluate(TOO_WIDE) == [], page
            assert browser.evaluate(PICTURES), page
