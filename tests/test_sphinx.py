"""The documentation is built without a warning and says all there is to say."""

import dataclasses
import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nnreg
from nnreg.registry import installed
from nnreg.spec import SECTIONS

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_documentation_is_built_without_warnings_and_has_every_component(peer, tmp_path):
    peer("sphinx", imported=False)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-n",
        "-q",
        "docs",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    pages = {page: page.read_text() for page in tmp_path.rglob("*.html")}
    reference = html.unescape("".join(t for p, t in pages.items() if p.parent.name == "reference"))
    for entry in installed():
        if entry.plugin == "nnreg":
            assert f'<h2>{entry.name}<a class="headerlink"' in reference, entry
    for name in set(nnreg.__all__) - {"Array", "Shape", "hookimpl"}:
        assert f'<h2>{name}<a class="headerlink"' in reference, name
    spec = (tmp_path / "reference/spec.html").read_text()
    for section in SECTIONS:
        for field in dataclasses.fields(section):
            assert f">{field.name}</span>" in spec, (section, field.name)
    for page, text in pages.items():
        requests = re.findall(r'<(?:script|img|link)[^>]* (?:src|href)="(https?:[^"]*)"', text)
        assert not requests, (page, requests)
