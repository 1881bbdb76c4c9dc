"""SECURITY.md names every command, and each test that it refers to exists."""

import re

from nnreg.cli.app import cli
from tests.helpers.paths import ROOT

TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")

ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in TEXT.splitlines()
    if line.startswith("| ")
]
"""The cells of each row of the table of activities, the head first."""


def test_every_test_that_it_names_exists():
    paths = re.findall(r"`(tests/[^`]+)`", TEXT)
    assert len(set(paths)) > 10
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_every_activity_names_a_test():
    head, *rows = ROWS
    assert head[-1] == "Shown by"
    assert [row[0] for row in rows if not re.search(r"`tests/[^`]+\.py`", row[-1])] == []


def test_every_command_is_in_the_table():
    named = {
        text.split()[0] for row in ROWS[1:] for text in re.findall(r"`([a-z][a-z -]*)`", row[1])
    }
    assert named == set(cli.commands)


def test_readme_and_documentation_refer_to_it():
    for page, link in (
        ("README.md", "(SECURITY.md)"),
        ("docs/index.md", "(security.md)"),
        ("docs/security.md", "{include} ../SECURITY.md"),
    ):
        assert link in (ROOT / page).read_text(encoding="utf-8"), page
