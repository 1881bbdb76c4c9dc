"""The output during and after training: on a terminal, and elsewhere."""

import fcntl
import json
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pyte
import pytest
from rich.live import Live

from nnreg._utils.formatting import clock, compact
from nnreg.cli._live_line import BLOCKS, LiveLine, curve
from nnreg.cli._output import print_lines
from nnreg.cli._summary import next_command
from nnreg.runs.run import prepare_run
from tests.helpers.specs import CSV, classifier, csv_data
from tests.helpers.work import HANG_SECONDS

ESCAPES = re.compile(r"[\r\x1b]")
LINE = re.compile(r"epoch +(\d+)/(\d+)  loss ")
SPLIT = {"validation": 0.25}
PROGRAM = [sys.executable, "-m", "nnreg"]


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Write a spec with many short epochs."""
    monkeypatch.chdir(tmp_path)
    return write_spec(tmp_path)


def write_spec(directory):
    head, rows = CSV.split("\n", 1)
    (directory / "data.csv").write_text(f"{head}\n{rows * 5}")
    tree = classifier(data=csv_data(split=SPLIT, unseen="ignore"), train={"epochs": 400})
    (directory / "spec.json").write_text(json.dumps(tree))
    return "spec.json"


class Screen:
    """A terminal of `columns` columns in which a command runs."""

    def __init__(self, *args, columns=80, **environment):
        self._screen = pyte.Screen(columns, 60)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            names = ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "CI")
            kept = {name: value for name, value in os.environ.items() if name not in names}
            command = [*PROGRAM, *map(str, args)]
            os.execve(sys.executable, command, {**kept, "TERM": "xterm-256color", **environment})
        size = struct.pack("HHHH", 60, columns, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    @property
    def lines(self):
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def read(self, until=lambda _: False):
        """Read until the command ends, or the lines satisfy `until`."""
        while not until(self.lines):
            ready = select.select([self._terminal], [], [], HANG_SECONDS)[0]
            assert ready, "the command prints nothing and does not end"
            try:
                data = os.read(self._terminal, 2**16)
            except OSError:  # on Linux: the command has ended
                break
            self.raw += data
            self._stream.feed(data)
        return self.lines

    def type(self, keys):
        os.write(self._terminal, keys)

    def end(self):
        """Return the exit code."""
        self.read()
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def live(lines):
    return any(re.search(r"\d/\d+  loss .*[▁-█]", line) for line in lines)


@pytest.mark.parametrize("columns", [100, 80, 40])
def test_a_terminal_has_one_live_line_that_fits(spec, columns):
    endless = ("--set", "train.epochs=300000", "--set", "optimizer.learning_rate=1e-9")
    screen = Screen("run", "--no-report", spec, *endless, columns=columns)
    lines = screen.read(until=live)
    assert live(lines)
    assert len(lines) == 1
    assert len(lines[0]) < columns
    os.kill(screen.pid, signal.SIGKILL)
    screen.end()


def test_the_last_live_line_stays_above_the_result(spec):
    screen = Screen("run", "--no-report", spec, "--out", "out", columns=100)
    assert screen.end() == 0
    line, title, *rest = screen.lines
    metrics = r"loss \S+  val_loss \S+  best \S+ \(\d+\)  val_accuracy 1\.00  █[▁-█]+"
    assert re.fullmatch(f"epoch 400/400  {metrics}", line)
    assert title == "Results: spec"
    assert rest[-1] == "next: nnreg predict out data.csv"


def test_the_live_line_is_drawn_by_a_timer_and_not_by_epochs(spec, nnreg, monkeypatch):
    timers, drawn, draw = [], [], LiveLine.text

    def without_timer(*args, refresh_per_second, **options):
        timers.append(refresh_per_second)
        return Live(*args, auto_refresh=False, **options)

    monkeypatch.setattr("rich.live.Live", without_timer)
    monkeypatch.setattr("nnreg.cli._progress.animated", lambda stream: True)
    monkeypatch.setattr(LiveLine, "text", lambda *a, **k: (drawn.append(a), draw(*a, **k))[1])
    assert nnreg("run", "--no-report", spec)[0] == 0
    assert 4 <= timers[0] <= 10
    assert len(drawn) <= 3  # at the start and at the end, of 400 epochs


def test_notes_do_not_break_the_live_line(spec, tmp_path):
    (tmp_path / "notes.py").write_text(
        "import sys, warnings\n"
        "from nnreg import hookimpl\n"
        "from nnreg.errors import NnregWarning\n"
        "@hookimpl\n"
        "def nnreg_epoch_ended(record):\n"
        "    if record['epoch'] % 100 == 0:\n"
        "        warnings.warn(f'at {record[\"epoch\"]}', NnregWarning)\n"
        "        print('printed', record['epoch'])\n"
    )
    screen = Screen("run", "--no-report", spec, "--plugin", "notes.py", "--out", "out")
    assert screen.end() == 0
    expected = [line for n in (100, 200, 300, 400) for line in (f"note: at {n}", f"printed {n}")]
    assert screen.lines[: len(expected)] == expected
    assert screen.lines[len(expected)].startswith("epoch 400/400  loss ")


def test_every_prints_lines_above_the_live_line(spec):
    screen = Screen("run", "--no-report", spec, "--every", 200)
    assert screen.end() == 0
    found = [match[1] for match in map(LINE.match, screen.lines) if match]
    assert found == ["1", "200", "400", "400"]


@pytest.mark.parametrize("keys", [b"\x03", b"\x03\x03"])
def test_ctrl_c_reports_at_once_that_it_saves(spec, keys):
    screen = Screen("run", "--no-report", spec, "--set", "train.epochs=1000000", "--out", "out")
    screen.read(until=live)
    screen.type(keys)
    assert screen.end() == 130
    assert not Path("out/lock").exists()
    line, saved, command = screen.lines
    assert "stopping and saving" in line
    assert saved.startswith("stopped; saved ")
    assert command == "resume: nnreg resume out"


@pytest.mark.parametrize(
    "environment", [{"TERM": "dumb"}, {"TERM": "unknown"}, {"CI": "true"}], ids=str
)
def test_a_simple_terminal_gets_one_plain_line_per_epoch(spec, environment):
    screen = Screen("run", "--no-report", spec, "--set", "train.epochs=20", **environment)
    assert screen.end() == 0
    assert not re.search(rb"\x1b\[[?\d;]*[^\d;?m]", screen.raw)  # only the result may be in bold
    assert "CI" in environment or b"\x1b" not in screen.raw
    assert b"\r" not in screen.raw.replace(b"\r\n", b"\n")
    assert [match[1] for match in map(LINE.match, screen.lines) if match] == [
        str(n + 1) for n in range(20)
    ]


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1"}, {"COLUMNS": "40"}], ids=str)
def test_a_pipe_gets_one_plain_line_per_epoch_whatever_is_forced(spec, environment):
    command = [*PROGRAM, "run", "--no-report", spec, "--set", "train.epochs=20"]
    done = subprocess.run(
        command, capture_output=True, check=True, env={**os.environ, **environment}
    )
    err = done.stderr.decode()
    assert not ESCAPES.search(err)
    assert [LINE.match(line)[1] for line in err.splitlines()] == [str(n + 1) for n in range(20)]


def test_no_color_and_force_color_control_the_colours(spec):
    colours = re.compile(rb"\x1b\[(?:\d+;)*3\d")
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        screen = Screen("run", "--no-report", spec, "--set", "train.epochs=2", **environment)
        assert screen.end() == 0
        assert bool(colours.search(screen.raw)) == coloured
    command = [*PROGRAM, "evaluate", "runs/spec-001"]
    for environment, styled in (({}, False), ({"FORCE_COLOR": "1"}, True)):
        environment = {**os.environ, **environment}
        done = subprocess.run(command, capture_output=True, check=True, env=environment)
        assert (b"\x1b[" in done.stdout) == styled


def test_the_description_of_a_component_is_wrapped_between_words():
    screen = Screen("show", "adam", columns=40)
    text = " ".join(line.strip() for line in screen.read())
    assert screen.end() == 0
    assert "scaled by running means of the gradient and of its square." in text


def test_json_has_one_line_per_epoch_and_the_summary_last(spec, nnreg):
    code, out, _ = nnreg("run", "--no-report", spec, "--json", "--every", 100)
    *epochs, end = map(json.loads, out.splitlines())
    assert code == 0
    assert [line["epoch"] for line in epochs] == [1, 100, 200, 300, 400]
    assert epochs[0].keys() >= {"event", "loss", "accuracy", "val_loss", "val_accuracy"}
    summary = json.loads(Path("runs/spec-001/summary.json").read_text())
    assert end == {"event": "end", **summary, "directory": "runs/spec-001"}
    assert [
        json.loads(line)["event"]
        for line in nnreg("run", "--no-report", spec, "--json", "--quiet")[1].splitlines()
    ] == ["end"]


def test_json_ends_with_the_summary_of_a_run_that_diverged_or_was_stopped(spec, nnreg):
    changes = ("--set", "optimizer.learning_rate=1e38")
    code, out, err = nnreg("run", "--no-report", spec, *changes, "--json", "--out", "out")
    assert code == 3
    assert json.loads(out.splitlines()[-1])["stopped"] == "diverged"
    assert "resume: nnreg resume out --set optimizer.learning_rate=1e+37" in err
    command = [*PROGRAM, "run", "--no-report", spec, "--json", "--set", "train.epochs=1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["epoch"] == 1
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert process.returncode == 130
    end = json.loads(out.splitlines()[-1])
    assert end["stopped"] == "interrupted"
    assert "verdict" not in end  # it would delay the exit


class TestNext:
    """The command suggested at the end works without changes."""

    def suggested(self, text):
        (line,) = [line for line in text.splitlines() if line.startswith(("next: ", "resume: "))]
        args = shlex.split(line.split(": ", 1)[1])
        assert args[0] == "nnreg"
        return args[1:]

    def test_after_a_run_it_predicts(self, spec, nnreg, tmp_path, monkeypatch):
        (tmp_path / "a b").mkdir()
        for name in ("spec.json", "data.csv"):
            (tmp_path / name).rename(tmp_path / "a b" / name)
        _, out, _ = nnreg("run", "--no-report", "a b/spec.json", "--out", "c d")
        code, predictions, _ = nnreg(*self.suggested(out))
        assert code == 0
        assert len(predictions.splitlines()) == 1 + 8 * 5

    def test_with_the_plugin_file_that_the_spec_needs(self, spec, nnreg, tmp_path):
        (tmp_path / "mine.py").write_text(
            "from dataclasses import dataclass\n"
            "from nnreg import Activation, hookimpl\n"
            "@dataclass(frozen=True)\n"
            "class Twice(Activation):\n"
            "    '''y = 2 x'''\n"
            "    def forward(self, x):\n"
            "        return 2 * x, lambda dy: 2 * dy\n"
            "@hookimpl\n"
            "def nnreg_activations():\n"
            "    return {'twice': Twice}\n"
        )
        change = ("--set", "model.layers.0.activation=twice")
        _, out, _ = nnreg("run", "--no-report", spec, *change, "--plugin", "mine.py")
        assert nnreg(*self.suggested(out))[0] == 0

    def test_without_the_data_file_it_has_a_placeholder(self, spec):
        run = prepare_run(spec, out="out")
        run.train()
        Path("data.csv").unlink()
        assert next_command(run) == "nnreg predict out DATA"

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ([], "note: all 400 epochs are done; train longer with --set train.epochs=800"),
            (['train.early_stopping={"patience": 3, "monitor": "val_accuracy"}'],
             "note: the run stopped early, after epoch"),
        ],
    )  # fmt: skip
    def test_a_finished_run_reports_how_to_train_longer(self, spec, nnreg, changes, why):
        prepare_run(spec, out="out", overrides=changes).train()
        _, _, err = nnreg("resume", "out", "--no-report")
        assert err.startswith(why)
        change = re.search(r"--set (\S+)", err)[1]
        err = nnreg("resume", "out", "--no-report", "--set", change)[2]
        assert LINE.match(err.splitlines()[0])

    def test_after_a_divergence_it_lowers_the_learning_rate(self, spec, nnreg):
        _, _, err = nnreg("run", "--no-report", spec, "--set", "optimizer.learning_rate=1e38")
        args = self.suggested(err)
        assert args[-1] == "optimizer.learning_rate=1e+37"
        assert nnreg(*args[:-1], "optimizer.learning_rate=0.01")[0] == 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        run = prepare_run(write_spec(directory))
        run.train()
    return run


class TestLiveLine:
    @pytest.mark.parametrize("width", [30, 37, 57, 77, 97, 200])
    def test_it_fits_with_the_most_important_first(self, finished, width):
        text = LiveLine(finished).text(width).plain
        assert len(text) <= width
        assert "400/400  loss " in text
        order = ["loss", "best", "val_accuracy"]
        shown = [name for name in order if name in text]
        assert shown == order[: len(shown)]

    def test_it_has_no_blocks_on_an_ascii_terminal(self, finished):
        assert not set(LiveLine(finished).text(97, blocks=False).plain) & set(BLOCKS)

    def test_it_shows_the_fraction_of_a_long_epoch_and_the_time_left(self, finished, monkeypatch):
        line = LiveLine(finished)
        line._began -= 10
        line._from = 396.5
        monkeypatch.setattr(finished.model.training_state, "epoch", 396)
        monkeypatch.setattr(finished._trainer, "seen", 0.75 * len(finished.prepared.train))
        text = line.text(97).plain
        assert "epoch 397/400   75%" in text
        assert re.search("2:1[01] left", text)  # 3.25 epochs at 40 seconds each


def test_a_curve_takes_no_longer_to_draw_after_many_epochs():
    class Record(dict):
        reads = 0

        def __getitem__(self, name):
            Record.reads += 1
            return super().__getitem__(name)

    curve([Record(loss=1.0) for _ in range(100_000)], 30)
    assert 0 < Record.reads < 1000


@pytest.mark.parametrize(
    ("losses", "width", "blocks"),
    [
        (np.exp(-np.arange(8.0)), 30, BLOCKS[::-1]),
        (np.exp(-np.arange(8.0)), 4, "█▆▃▁"),
        ([1.0, 1.0, 1.0], 30, "▁▁▁"),
        ([-1.0, 0.0, 1.0], 30, "▁▅█"),
        ([], 30, ""),
    ],
)
def test_a_curve_goes_from_the_highest_block_to_the_lowest(losses, width, blocks):
    assert curve([{"loss": float(loss)} for loss in losses], width) == blocks


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0:01"), (59, "0:59"), (754, "12:34"), (3723, "1:02:03"), (400_000, "5 days")],
)
def test_the_time_left_has_the_format_of_a_clock(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500"), (1.0, "1.00"), (123.4, "123"), (54321.0, "54321"), (1.5e-7, "1.50e-07")],
)
def test_a_metric_in_the_live_line_is_short(value, text):
    assert compact(value) == text


@pytest.mark.parametrize("err", [False, True])
def test_what_is_printed_to_a_terminal_that_was_closed_is_lost_without_an_error(monkeypatch, err):
    terminal, own = pty.openpty()
    with os.fdopen(own, "w") as stream:
        os.close(terminal)
        monkeypatch.setattr(sys, "stderr" if err else "stdout", stream)
        print_lines("epoch 1", err=err)
        print_lines("epoch 2", err=err)
