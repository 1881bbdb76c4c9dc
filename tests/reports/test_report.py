"""The commands that write reports."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nnreg
from nnreg.plotting.html import format_value
from nnreg.reports.report import report, report_folds
from nnreg.runs.api import run
from tests.reports.page import Page, page_of


def test_reports_of_the_same_run_are_bit_identical(spec, nnreg):
    code, out, _ = nnreg("run", spec, "--out", "out", "--quiet")
    assert code == 0
    assert "report: out/report.html" in out
    files = ["out/report.html", *map(str, Path("out/plots").iterdir())]
    first = {name: Path(name).read_bytes() for name in files}
    assert {Path(name).stem for name in files} > {"loss", "accuracy", "gradients", "confusion"}
    assert nnreg("report", "out") == (0, "out/report.html\n", "")
    assert {name: Path(name).read_bytes() for name in files} == first


RUN = ["run", "spec.json", "--out", "new", "--quiet"]


@pytest.mark.parametrize("command", [RUN, ["report", "out"], ["report", "cv"]])
def test_a_report_is_complete_without_matplotlib(spec, folds, command):
    nnreg.run(spec, out="out")
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        f"from nnreg.cli.app import main\nmain({command})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    directory = Path(command[1] if command[0] == "report" else "new")
    drawn = {file.stem for file in (directory / "plots").iterdir()}
    single = {"gradients", "confusion", "calibration", "importance", "network"}
    assert drawn == {"loss", "accuracy"} | (set() if directory.name == "cv" else single)


@pytest.mark.parametrize("command", [RUN, ["report", "out"]])
def test_run_and_report_do_not_import_matplotlib(spec, command):
    nnreg.run(spec, out="out")
    code = (
        f"import sys\nfrom nnreg.cli.app import main\n"
        f"try: main({command})\nexcept SystemExit: pass\n"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_plot_leaves_matplotlib_as_it_was(spec, nnreg):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    nnreg("run", spec, "--out", "out", "--quiet", "--no-report")
    assert nnreg("plot", "out", "--out", "a.png")[0] == 0
    assert dict(mpl.rcParams) == before
    code = (
        "import sys\nfrom nnreg.cli.app import main\n"
        "try: main(['plot', 'out', '--out', 'b.png'])\nexcept SystemExit: pass\n"
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_without_a_report(spec, nnreg):
    code, out, _ = nnreg("run", spec, "--out", "out", "--quiet", "--no-report")
    assert code == 0
    assert "report" not in out
    assert not Path("out/report.html").exists()
    assert not Path("out/plots").exists()


def test_a_run_succeeds_if_its_report_cannot_be_written(spec, nnreg):
    Path("out").mkdir()
    Path("out/plots").write_text("in the way")
    code, out, err = nnreg("run", spec, "--out", "out", "--quiet")
    assert code == 0
    assert "note: no report was written: out: cannot write: " in err
    assert "saved in out" in out


def test_with_json_only_json_is_printed(spec, nnreg):
    code, out, _ = nnreg("run", spec, "--out", "out", "--quiet", "--json")
    assert code == 0
    assert json.loads(out.splitlines()[-1] if out.startswith('{"') else out)
    assert Path("out/report.html").exists()


def test_a_diverged_run_has_a_report(numbers, nnreg):
    diverging = 'optimizer={"type": "sgd", "learning_rate": 1e200}'
    code, out, err = nnreg("run", numbers, "--out", "out", "--quiet", "--set", diverging)
    assert (code, out) == (3, "")
    assert "report: out/report.html" in err
    page = Page(Path("out/report.html").read_text())
    assert "Training diverged after epoch" in page.text_of("p")


def test_report_prints_the_path_and_opens_it_on_request(spec, nnreg, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    nnreg("run", spec, "--out", "out", "--quiet", "--no-report")
    assert nnreg("report", "out") == (0, "out/report.html\n", "")
    assert opened == []
    nnreg("report", "out", "--open")
    assert opened == [Path("out/report.html").resolve().as_uri()]


def test_a_report_of_a_directory_without_a_run_is_an_error(tmp_path, nnreg):
    code, _, err = nnreg("report", tmp_path)
    assert code == 2
    assert "not a run directory" in err


@pytest.fixture
def folds(spec):
    """Return the directory of a cross-validation."""
    overrides = ["train.folds=3", 'data.split={"stratify": true}']
    nnreg.run(spec, out="cv", overrides=overrides)
    return Path("cv")


def test_a_cross_validation_has_a_page_with_links_to_its_folds(folds):
    page = Page(report(folds).read_text())
    summary = json.loads((folds / "summary.json").read_text())
    assert "Mean of 3 of 3 folds" in page.text_of("p")
    assert f"accuracy {format_value(summary['mean']['accuracy'])} ± " in page.text_of("p")
    assert format_value(summary["std"]["accuracy"]) in page.text_of("td")
    assert "--set train.folds=3" in page.text_of("code")
    links = [address for address in page.addresses if address.endswith(".html")]
    assert links == [f"fold-{number}/report.html" for number in (1, 2, 3)]
    for link in links:
        assert "Training curves" in Page((folds / link).read_text()).text_of("h2")
    assert sorted(file.stem for file in (folds / "plots").iterdir()) == ["accuracy", "loss"]


def test_an_interrupted_or_corrupt_cross_validation_has_a_page(folds):
    for text in ('{"mean": 3}', '{"mean": {"<b>": "<b>"}, "std": {"<b>": "<b>"}}', "", "{}"):
        (folds / "summary.json").write_text(text)
        assert "b" not in {tag for tag, _ in Page(report_folds(folds).read_text()).tags}
    assert "No fold has finished yet." in page_of(folds).text_of("p")


def test_the_command_line_writes_the_pages_of_a_cross_validation(spec, nnreg):
    split = 'data.split={"stratify": true}'
    code, out, _ = nnreg(
        "run", spec, "--out", "cv", "--quiet", "--set", "train.folds=2", "--set", split
    )
    assert code == 0
    assert out.endswith("report: cv/report.html\n")
    assert Path("cv/fold-2/report.html").exists()
    shutil.rmtree("cv/fold-2/plots")
    assert nnreg("report", "cv") == (0, "cv/report.html\n", "")
    assert Path("cv/fold-2/plots/loss.svg").exists()


@pytest.mark.parametrize("command", ["report", "plot"])
def test_stale_temporary_files_of_drawings_are_removed(spec, nnreg, command):
    run(spec, out="out")
    Path("out/plots").mkdir()
    stale = [Path("out", name) for name in (".report.html.0123456789ab.tmp",
                                            "plots/.loss.svg.0123456789ab.tmp")]  # fmt: skip
    for file in stale:
        file.touch()
    assert nnreg(command, "out")[0] == 0
    assert not any(file.exists() for file in stale)


@pytest.mark.parametrize("command", ["report", "plot"])
def test_a_run_directory_that_cannot_be_written_to_is_an_error(spec, nnreg, monkeypatch, command):
    run(spec, out="out")

    mkdir, opened = Path.mkdir, os.open

    def refuse_to_write(path, flags, *mode):
        if flags & os.O_WRONLY:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *mode)

    def refuse_to_create(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse_to_write)
    monkeypatch.setattr(Path, "mkdir", refuse_to_create)
    for _ in range(2):  # without and with a directory `plots`
        code, out, err = nnreg(command, "out")
        assert (code, out) == (2, "")
        assert "cannot write: Permission denied" in err
        mkdir(Path("out/plots"), exist_ok=True)
