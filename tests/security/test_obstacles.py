"""Run directories in which something else has the name of a file that nnreg reads or writes.

Whatever it is, no command hangs, fails without an explanation, changes a file elsewhere, or copies
the content of one. Each command runs in a process that a signal ends if it hangs.
"""

import io
import json
import multiprocessing
import os
import shutil
import socket
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.helpers.specs import blobs, classifier, csv_data
from tests.helpers.work import ended_if_it_hangs

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes and links are those of POSIX")

PROCESSES = multiprocessing.get_context("forkserver") if os.name == "posix" else None
if PROCESSES:  # the server imports them once
    PROCESSES.set_forkserver_preload(
        ["nnreg.runs.api", "nnreg.reports.report", "nnreg._utils.hdf5", "nnreg.cli.app",
         "nnreg.plotting.matplotlib_file", "nnreg.comparison.api", "threadpoolctl"]
    )  # fmt: skip

TEMPORARY = "0123456789ab.tmp"

RUN_FILES = [
    "lock", "spec.json", "resolved.json", "environment.json", "metrics.jsonl", "gradients.jsonl",
    "summary.json", "report.html", "plots", "plots/curves.svg", "plots/loss.svg", "checkpoints",
    "checkpoints/last.h5", "checkpoints/best.h5", f".metrics.jsonl.{TEMPORARY}",
    f"checkpoints/.last.h5.{TEMPORARY}", f"plots/.loss.svg.{TEMPORARY}",
]  # fmt: skip
FOLD_FILES = [
    "lock", "spec.json", "resolved.json", "summary.json", "fold-1", "fold-1/checkpoints",
    "fold-1/checkpoints/last.h5", "fold-2", "fold-2/summary.json", "report.html", "plots",
]  # fmt: skip

QUIET = ("--quiet", "--no-report")
MORE = ("--set", "train.epochs=2")
COMMANDS = {
    "run": ("run", "spec.json", "--out", "x", *QUIET),
    "resume": ("resume", "x", *MORE, *QUIET),
    "runs": ("runs", "x"),
    "report": ("report", "x"),
    "plot": ("plot", "x"),
    "compare": ("compare", "x"),
    "inspect": ("inspect", "x"),
    "predict": ("predict", "x", "data.csv"),
}
FOLD_COMMANDS = {
    "run": (*COMMANDS["run"], "--set", "train.folds=2"),
    **{name: COMMANDS[name] for name in ("resume", "runs", "report", "plot")},
}

SECRET = "a secret of the user"


def link(path):
    path.symlink_to("../outside/file.json")


def link_to_directory(path):
    path.symlink_to("../outside/directory")


def link_to_nothing(path):
    path.symlink_to("../outside/nothing")


def pipe(path):
    os.mkfifo(path)


def hard_link(path):
    os.link("outside/file.json", path)


def opened_socket(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def wrong_shape(path):
    path.write_text('[{"earlier": {}, "train": 3}, "x"]\n')


def other_shape(path):
    path.write_text('{"earlier": 3, "train": 3, "folds": "x", "stopped": [], "loss": {}}\n')


def huge(path):
    with path.open("wb") as file:
        file.truncate(2**40)


FREQUENT = (link, pipe)
OTHERS = (link_to_directory, link_to_nothing, hard_link, Path.mkdir, opened_socket, wrong_shape,
          other_shape, huge)  # fmt: skip
CASES = pytest.mark.parametrize(
    ("obstacles", "quick"),
    [(FREQUENT, True), pytest.param((*FREQUENT, *OTHERS), False, marks=pytest.mark.slow)],
    ids=["frequent", "all"],
)
"""Beside the slow cases, two obstacles for the two commands that read and write the most."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a directory with a run, a cross-validation, and files beside them."""
    directory = tmp_path_factory.mktemp("made")
    x, y = blobs(24)
    rows = [",".join([*map(str, row), str(name)]) for row, name in zip(x, y, strict=True)]
    (directory / "data.csv").write_text("\n".join(["a,b,c,d,species", *rows, ""]))
    spec = classifier(data=csv_data(), train={"epochs": 1})
    (directory / "spec.json").write_text(json.dumps(spec))
    (directory / "outside/directory").mkdir(parents=True)
    for name in ("file.json", "directory/last.h5", "directory/metrics.jsonl", "directory/a.svg"):
        (directory / "outside" / name).write_text(json.dumps({"text": SECRET}))
    in_process(make_runs, directory)
    return directory


def make_runs(directory):
    os.chdir(directory)
    call("run", "spec.json", "--out", "run", *QUIET)
    call("run", "spec.json", "--out", "folds", "--set", "train.folds=2", *QUIET)


def call(*args):
    """Run a command, and return its exit code and what it printed."""
    from nnreg.cli.app import main

    printed = io.StringIO()
    with (
        ended_if_it_hangs(),
        redirect_stdout(printed),
        redirect_stderr(printed),
        pytest.raises(SystemExit) as ended,
    ):
        main(list(args))
    return ended.value.code, printed.getvalue()


def in_process(work, *args):
    process = PROCESSES.Process(target=work, args=args)
    process.start()
    process.join()
    assert process.exitcode == 0, f"ended with {process.exitcode}"


def content(directory):
    return {
        path: (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(directory.rglob("*"))
    }


def try_commands(made, base, name, commands, obstacles, log):
    """Run each command in a copy of a run for each obstacle; raise AssertionError for a fault."""
    os.chdir(made)
    outside = content(Path("outside"))
    for obstacle in obstacles:
        for command, args in commands.items():
            Path(log).write_text(f"{base}/{name} as {obstacle.__name__}: {command}")
            shutil.rmtree("x", ignore_errors=True)
            if command == "run":
                Path("x").mkdir()
            else:
                shutil.copytree(base, "x")
            path = Path("x", name)
            if path.is_dir():
                shutil.rmtree(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            obstacle(path)
            code, printed = call(*args)
            assert code in (0, 1, 2), printed
            assert "bug" not in printed
            assert "Traceback" not in printed
            assert SECRET not in printed
            assert content(Path("outside")) == outside, "a file elsewhere was changed"
            for file in Path("x").rglob("*"):  # who made a hard link could read the file
                small = file.lstat().st_size < 2**30
                if small and file.is_file() and not file.is_symlink() and obstacle is not hard_link:
                    assert SECRET.encode() not in file.read_bytes(), f"copied to {file}"


@CASES
@pytest.mark.parametrize("name", RUN_FILES)
def test_an_obstacle_in_a_run_directory_is_harmless(made, tmp_path, name, obstacles, quick):
    check(made, tmp_path, "run", name, COMMANDS, obstacles, quick)


@pytest.mark.slow
@CASES
@pytest.mark.parametrize("name", FOLD_FILES)
def test_an_obstacle_in_a_cross_validation_is_harmless(made, tmp_path, name, obstacles, quick):
    check(made, tmp_path, "folds", name, FOLD_COMMANDS, obstacles, quick)


def check(made, tmp_path, base, name, commands, obstacles, quick):
    log = tmp_path / "log"
    if quick:
        commands = {name: commands[name] for name in ("run", "resume")}
    try:
        in_process(try_commands, made, base, name, commands, obstacles, str(log))
    except AssertionError as error:
        raise AssertionError(f"{log.read_text()}: {error}") from error


def test_a_run_directory_itself_may_be_a_link(made, tmp_path):
    shutil.copytree(made / "run", tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to("elsewhere")
    in_process(use_link, tmp_path)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere/report.html").exists()


def use_link(directory):
    os.chdir(directory)
    for args in (("report", "link"), ("runs", "link"), ("inspect", "link")):
        code, printed = call(*args)
        assert code == 0, printed
