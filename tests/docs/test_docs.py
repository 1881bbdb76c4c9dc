"""The commands in README and docs/ are run, and their output is compared."""

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnreg import builtin, hookspecs
from nnreg.builtin.activations import Softsign
from nnreg.cli.app import cli, main
from nnreg.testing.suite import KINDS
from tests.helpers.doc_runner import NUMBER, WRITTEN, Follower, blocks, prepare, require_shown
from tests.helpers.paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDE = (ROOT / "docs/plugins.md").read_text()
BLOCKS = blocks(GUIDE)
SLOW = ROOT / "docs/plugins.md"
RUN = [
    page
    for page in PAGES[1:]
    if any(block.language in ("sh", "python") for block in blocks(page.read_text()))
]


NEEDS = {"scikit-learn.md": "sklearn", "gpu.md": "torch"}
"""The libraries that pages need, by the page's name: where one is missing, the page is not run."""


def run(command, directory):
    subprocess.run(command, cwd=directory, check=True, capture_output=True)


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] * (page.parent.name == "howto" or page == SLOW))
        for page in RUN
    ],
    ids=name_of,
)
def test_the_commands_of_a_page_print_the_output_it_shows(page, tmp_path, monkeypatch):
    if library := NEEDS.get(page.name):
        pytest.importorskip(library, reason=f"{library} is not installed; the page needs it")
    directory, settings = prepare(tmp_path)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    follower = Follower(directory)
    with np.printoptions():  # restores the print options that a page changes
        for block in blocks(page.read_text()):
            follower.follow(block)


@pytest.mark.slow
def test_the_plugin_guide_works_when_nnreg_has_a_component_of_its_name(tmp_path, monkeypatch):
    @hookspecs.hookimpl
    def nnreg_activations(before=builtin.nnreg_activations):
        return {**before(), "logish": Softsign}

    monkeypatch.setattr(builtin, "nnreg_activations", nnreg_activations)
    test_the_commands_of_a_page_print_the_output_it_shows(
        ROOT / "docs/plugins.md", tmp_path, monkeypatch
    )


LESSONS = [page for page in RUN if page.parent.name == "lessons"]


@pytest.mark.parametrize("page", LESSONS, ids=name_of)
def test_the_numbers_in_the_prose_of_a_lesson_are_printed_by_its_code(page):
    text = page.read_text()
    printed = [abs(float(number)) for block in blocks(text) if block.language == "text"
               for number in re.findall(NUMBER, block.code)]  # fmt: skip
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)
    for number in re.findall(r"\d+\.\d{3,}", prose):
        digits = len(number.partition(".")[2])
        assert float(number) in [round(value, digits) for value in printed], number


OUTPUT = "epoch 1  loss 0.71\nepoch 2  loss 0.50\n\nsaved in runs/a-001\n"


@pytest.mark.parametrize(
    ("shown", "exact"),
    [
        ("epoch 1 loss 0.71\n…\nsaved in …", True),
        ("…\nsaved in runs/a-001", True),
        ("epoch 1 loss 0.70\nepoch 2 loss 0.50\nsaved in runs/…", True),
        ("epoch 1 loss 0.71\nepoch 2 loss 0.55\n…", False),
        ("…\nepoch 2 loss 0.55\nsaved in …", False),
    ],
)
def test_shown_output_may_be_abbreviated_with_an_ellipsis(shown, exact):
    require_shown(shown, OUTPUT, exact=exact)


@pytest.mark.parametrize(
    ("shown", "exact"),
    [
        ("", True),
        ("epoch 1 loss 0.71", True),
        ("epoch 1 loss 0.71\nsaved in …", True),
        ("epoch 1 loss 0.73\n…", True),
        ("…\nepoch 2 loss 0.95\n…", False),
        ("…\nsaved in …\nepoch 2 …\n…", True),
        ("…\nsaved", True),
    ],
)
def test_shown_output_that_is_not_printed_is_detected(shown, exact):
    with pytest.raises(AssertionError):
        require_shown(shown, OUTPUT, exact=exact)


@pytest.mark.slow
def test_the_plugin_guide_works_with_an_installed_wheel(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)  # what it names would precede the wheel
    copy, wheels = tmp_path / "copy", tmp_path / "wheels"
    directory, settings = prepare(tmp_path)
    shutil.copytree(ROOT / "nnreg", copy / "nnreg", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "models", copy / "models")
    for file in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    run([*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(copy)], tmp_path)
    run([sys.executable, "-m", "venv", "env"], tmp_path)
    settings["PATH"] = f"{tmp_path}/env/bin{os.pathsep}{os.environ['PATH']}"
    for name, value in {**settings, "PIP_FIND_LINKS": str(wheels)}.items():
        monkeypatch.setenv(name, value)
    run(["pip", "install", "--quiet", "nnreg", "hypothesis", "pytest"], tmp_path)
    follower = Follower(directory, online=True)
    for block in BLOCKS:
        follower.follow(block)


def test_every_hook_is_documented_with_its_exact_signature():
    shown = "".join(b.code for b in BLOCKS if b.note == "signatures").splitlines()
    hooks = [f for name, f in vars(hookspecs).items() if name.startswith("nnreg_")]
    expected = {f"def {f.__name__}{_signature(f)}: ..." for f in hooks}
    assert set(shown) == expected
    assert len(shown) == len(expected)


def _signature(function):
    """Return a signature as in the source, where annotations are not quoted."""
    return str(inspect.signature(function)).replace("'", "")


def test_every_hook_is_implemented_by_an_example_that_is_run():
    examples = {block.note: block.code for block in BLOCKS if block.note.endswith(".py")}
    run_files = "".join(
        code
        for note, code in examples.items()
        if any(Path(note).stem in block.code for block in BLOCKS if block.note != note)
    )
    for name in vars(hookspecs):
        if name.startswith("nnreg_"):
            assert f"@hookimpl\ndef {name}(" in run_files.replace("@nnreg.", "@"), name


def test_every_check_is_named_in_the_row_of_its_kind():
    for kind, module in KINDS.items():
        (row,) = re.findall(rf"^\| {kind} \|.*$", GUIDE, re.M)
        names = {check.__name__.replace("_", " ") for check in module.CHECKS}
        assert set(re.findall(r"`(.*?)`", row)) - {"examples"} == names


def test_the_commands_of_the_ci_workflow_are_shown_in_the_guide():
    shown = [block.code for block in BLOCKS if block.language == "sh"]
    (workflow,) = (block.code for block in BLOCKS if block.language == "yaml")
    for command in re.findall(r"- run: (.*)", workflow):
        assert any(command in code.splitlines() for code in shown), command


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_a_file_that_a_page_writes_is_named_in_its_prose(page):
    text = page.read_text()
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)
    for block in blocks(text):
        if block.language in WRITTEN and block.note not in ("", "printed", "signatures"):
            assert f"`{block.note}`" in prose, block.note


def test_every_command_has_a_how_to():
    with pytest.raises(SystemExit):
        main(["--help"])  # commands are registered on first use
    how_tos = [page.read_text() for page in PAGES if page.parent.name == "howto"]
    for command in cli.commands:
        assert any(f"\n## `nnreg {command}" in text for text in how_tos), command


LINKING = [*PAGES, *ROOT.glob("[CS]*.md"), ROOT / "models/README.md", ROOT / "plugins/README.md"]


def anchors(page):
    """Return the anchors that GitHub and Sphinx make of the headings of a page."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)
    headings = [one.lower().replace(" ", "-") for one in re.findall(r"^#+ (.*)$", prose, re.M)]
    return {re.sub(r"[^\w-]", "", heading) for heading in headings}


@pytest.mark.parametrize("page", LINKING, ids=name_of)
def test_no_link_is_broken(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert target.startswith("https://") or file.exists(), f"{page}: {target}"
        if anchor and file.suffix == ".md" and file.parent.name != "reference":  # from the code
            assert anchor in anchors(file), f"{page}: {target}"


def test_the_figures_of_the_page_on_gpus_are_those_of_the_benchmarks():
    steps = (ROOT / "docs/benchmarks.md").read_text()
    steps = steps.partition("**Training: ")[2].partition("**Prediction: ")[0]
    page = (ROOT / "docs/howto/gpu.md").read_text()
    rows = re.findall(r"^\| ([^|]*\d) \| ([\d.,]+) \| (.*) \|$", page, re.M)
    assert len(rows) > 5
    for network, first, others in rows:
        (row,) = re.findall(rf"^\| {re.escape(network)} \| (.*) \|$", steps, re.M)
        cells = [re.sub(r" \(.*\)|\*", "", cell) for cell in row.split(" | ")]
        assert [first, *others.split(" | ")] == [cells[at] for at in (0, 1, 3, 4)], network
