"""Run the blocks of a page of the documentation in order, and compare the output it shows.

    python -m tests.helpers.doc_runner docs/tutorial.md

updates the output that the page shows.

The first line of a block determines how it is used:

* `sh` is run in a directory with the example models. It may be followed by `fails` (the command
  must fail), `online` (it needs pip's index) or `by hand` (it is not run).
* `python` is run in the Python session of the page; `python NAME` (or json, csv, …) is written to
  that file; `python signatures` is ignored.
* `text` is the output of the previous block. `…` matches anything, on its own line any lines.
  Numbers may differ slightly, as they do between processors: by one in the last digit in output of
  Python, and by a fifth otherwise or after `text about`. `json printed` is the same with syntax
  highlighting.
* `<!-- sh` starts a block that is hidden from the reader.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nnreg.cli.app import main
from tests.helpers.paths import ROOT

BLOCK = re.compile(r"^(?:```(\w+)(?: ([^\n]*))?\n(.*?)^```$|<!-- (sh)\n(.*?)-->)", re.S | re.M)
WRITTEN = ("python", "json", "csv", "yaml")
NUMBER = r"(?<![\w.-])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]\d+)?(?![\w-])"


@dataclass(frozen=True)
class Block:
    """A block of a page: its language, the note after it, the code, and the range of the code."""

    language: str
    note: str
    code: str
    start: int
    end: int

    @property
    def shows(self):
        """Whether it is the output of the previous block."""
        return self.language == "text" or self.note == "printed"


def blocks(text):
    """Return the blocks of a page, in order."""
    found = []
    for match in BLOCK.finditer(text):
        language, note, code, hidden, hidden_code = match.groups()
        if hidden:
            found.append(Block(hidden, "", hidden_code, *match.span(5)))
        else:
            found.append(Block(language, note or "", code, *match.span(3)))
    return found


class Follower:
    """Runs the blocks of a page in a directory, and keeps the output of the last one."""

    def __init__(self, directory, *, online=False):
        self.directory = directory
        self.online = online
        self.output = ""
        self.exact = False
        self.names = {"__name__": "page"}

    def follow(self, block):
        """Run a block, compare it, or write it to its file."""
        if block.shows:
            exact = self.exact and block.note != "about"
            require_shown(block.code, self.output, exact=exact)
        elif block.language == "sh" and block.note != "by hand":
            if block.note != "online" or self.online:
                self.shell(block.code, fails=block.note == "fails")
        elif block.language == "python" and not block.note:
            self.python(block.code)
        elif block.language in WRITTEN and block.note not in ("", "signatures"):
            file = self.directory / block.note
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.code)

    def shell(self, code, *, fails):
        """Run commands; if all are plain nnreg commands, in this process, which is faster."""
        lines = code.strip().splitlines()
        if not self.online and all(re.fullmatch(r"nnreg [^|><&;$*\\#]*", line) for line in lines):
            runs = [self.nnreg(shlex.split(line)[1:]) for line in lines]
            self.output, failed = "".join(out for out, _ in runs), any(code for _, code in runs)
        else:
            done = subprocess.run(["bash", "-ec", code], cwd=self.directory, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
            self.output, failed = done.stdout, done.returncode != 0
        assert failed == fails, (code, self.output)
        self.exact = False

    def nnreg(self, args):
        printed = io.StringIO()
        with self.here(printed):
            try:
                main(args)
            except SystemExit as ended:
                return printed.getvalue(), ended.code
        return printed.getvalue(), 0

    def python(self, code):
        printed = io.StringIO()
        with self.here(printed):
            exec(code, self.names)
        self.output, self.exact = printed.getvalue(), True

    @contextlib.contextmanager
    def here(self, printed):
        with (
            contextlib.chdir(self.directory),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
        ):
            yield


def require_shown(text, output, *, exact):
    """Require that the output of a command is that of a text block."""
    assert matches(squeezed(text), squeezed(output), exact=exact), (
        f"the page shows:\n{text}\nbut the output is:\n{output}"
    )


def matches(shown, printed, *, exact):
    """Return True if lines match those shown, where a line `…` matches any lines."""
    if not shown:
        return not printed
    if shown[0] == "…":
        rests = (printed[start:] for start in range(len(printed) + 1))
        return any(matches(shown[1:], rest, exact=exact) for rest in rests)
    return (
        bool(printed)
        and alike(shown[0], printed[0], exact=exact)
        and matches(shown[1:], printed[1:], exact=exact)
    )


def squeezed(text):
    """Return the lines that are not blank, with single spaces."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def alike(wanted, found, *, exact):
    """Return True if a line matches the one shown, in which `…` matches anything."""
    pattern, numbers = "", []
    for part in re.split(rf"(…|{NUMBER})", wanted):
        if part == "…":
            pattern += ".*"
        elif re.fullmatch(NUMBER, part):
            pattern += f"({NUMBER})"
            numbers.append(part)
        else:
            pattern += re.escape(part)
    match = re.fullmatch(pattern, found)
    return match is not None and all(
        abs(value(there) - value(shown)) <= tolerance(shown, exact=exact)
        for there, shown in zip(match.groups(), numbers, strict=True)
    )


def tolerance(shown, *, exact):
    """Return the accepted difference from a number that is shown."""
    digits, _, exponent = shown.partition("e")
    fraction = digits.partition(".")[2]
    last = 1.01 * 10.0 ** (int(exponent or 0) - len(fraction))
    if exact:
        return last if fraction else 0
    return max(last, 0.01) + 0.2 * abs(value(shown))


def value(number):
    """Return the value of a number, which may have commas between its thousands."""
    return float(number.replace(",", ""))


def prepare(directory):
    """Create a directory with the example models; return it, and the environment variables."""
    tools, page_directory = directory / "tools", directory / "page"
    tools.mkdir()
    for name, command in (("nnreg", "-m nnreg"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        (tools / name).chmod(0o755)
    shutil.copytree(
        ROOT / "models", page_directory / "models", ignore=shutil.ignore_patterns("*.py", "*.md")
    )
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    return page_directory, {"PATH": path, "COLUMNS": "100"}


def rewritten(text, follower):
    """Return a page with the output it shows updated if it differs."""
    parts, end = [], 0
    for block in blocks(text):
        try:
            follower.follow(block)
        except AssertionError:
            if not block.shows:
                raise
            parts += [text[end : block.start], masked(follower.output)]
            end = block.end
    return "".join([*parts, text[end:]])


def masked(output):
    """Return an output without what differs between runs: durations and directories.

    Of many lines of epochs, the first two and the last remain.
    """
    output = re.sub(r"\d+(\.\d+)? (s|ms|µs)\b", r"… \2", output)
    output = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "…", output)
    output = re.sub(r"takes [\d.]+ times", "takes … times", output)
    output = re.sub(r"(?m)^code /.*", "code …", output)
    output = re.sub(r"(?m)^( *seconds +)\S.*", r"\1…", output)
    output = re.sub(r"/\S+/page/", "…/", output).replace(f"{ROOT}/", "…/")
    lines = [line.rstrip() for line in output.strip("\n").splitlines()]
    epochs = [index for index, line in enumerate(lines) if re.match(r"epoch +\d+/", line)]
    if len(epochs) > 5:
        lines[epochs[2] : epochs[-1]] = ["…"]
    return "\n".join([*lines, ""])


def rewrite(pages):
    """Update the output shown in these files."""
    for page in pages:
        with tempfile.TemporaryDirectory() as directory:
            page_directory, variables = prepare(Path(directory))
            os.environ.update(variables)
            page.write_text(rewritten(page.read_text(), Follower(page_directory)))


if __name__ == "__main__":
    rewrite(map(Path, sys.argv[1:]))
