"""Run one command of nnreg and record what it did, by an audit hook of the interpreter.

`python -P tests/security/audit.py RECORD ARGUMENT…` writes a JSON list to RECORD: everything that a
command that only looks at files has no reason to do. Audit hooks see Python's own calls, not those
that a C library makes.

`python -P tests/security/audit.py` imports once what most commands import, and then reads a JSON
list `[RECORD, ARGUMENT…]` from each line of standard input. It runs that command in a fork, whose
output goes to RECORD.txt, and prints its exit code. A record has what the imports did, too.
"""

import importlib
import json
import os
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

INSTALLED = (
    sys.prefix,
    sys.base_prefix,
    *sysconfig.get_paths().values(),
    *(str(ROOT / name) for name in ("nnreg", "plugins")),
    str(Path(__file__).resolve()),
)
"""Where code may come from: Python, the installed packages, and this repository."""

SYSTEM_LIBRARIES = ("/lib", "/usr/lib", "/System", "/usr/local/lib", "/opt")

MARKER = "hostile_marker"
"""A text in every hostile input; no source that is compiled may have it."""

PROCESSES = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.")
NETWORK = ("socket.", "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.")
CHANGES = (
    "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod",
    "os.chown", "os.truncate", "os.utime", "os.setxattr", "shutil.",
)  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

OF_LIBRARIES = (
    "['uname', '-p']",  # h5py, when it is imported, asks `platform` for the processor
    "'--norc', '-c', 'echo \"${BASH_VERSION}\"']",  # click, before it prints a script for bash
)
"""The ends of the command lines of processes that libraries start, which no input influences."""

found: list[list[str]] = []


def name_of(value: object) -> str:
    """Return a path as text; a file descriptor as its number."""
    return os.fsdecode(value) if isinstance(value, (str, bytes, os.PathLike)) else repr(value)


def record(event: str, args: tuple) -> None:
    """Add an event to `found` if it is one of those that are looked for."""
    if event == "subprocess.Popen" and str(args[1]).endswith(OF_LIBRARIES):
        return
    if event.startswith((*PROCESSES, *NETWORK, *CHANGES)):
        found.append([event, *map(name_of, args)])
    elif event == "open" and isinstance(args[2], int) and args[2] & WRITING:
        if args[0] != os.devnull:
            found.append(["write", name_of(args[0])])
    elif event == "exec":
        check_code(event, args[0].co_filename)
    elif event == "compile":
        source = args[0]
        text = source.decode(errors="replace") if isinstance(source, bytes) else str(source)
        if MARKER in text:
            found.append([event, text[:200]])
        if args[1] is not None:
            check_code(event, name_of(args[1]))
    elif event == "ctypes.dlopen" and args[0] is not None:
        path = name_of(args[0])
        if os.sep in path and not path.startswith((*INSTALLED, *SYSTEM_LIBRARIES)):
            found.append([event, path])


def check_code(event: str, path: str) -> None:
    """Record code that is in a file, unless the file is installed."""
    if not path.startswith("<") and not os.path.abspath(path).startswith(INSTALLED):
        found.append([event, path])


def run(target: str, arguments: list[str]) -> None:
    """Run a command, and write the record."""
    sys.argv = ["nnreg", *arguments]
    from nnreg.cli.app import main as command

    try:
        command(arguments)
    finally:
        events = json.dumps(found)
        Path(target).write_text(events)


def serve() -> None:
    """Run each command of standard input in a fork."""
    for name in ("h5py", "numpy.random", "nnreg.cli.app", "nnreg.runs.api"):
        importlib.import_module(name)
    from nnreg.registry.registry import installed

    list(installed())
    imports = list(found)
    for line in sys.stdin:
        target, *arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            output = os.open(f"{target}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.stdin = open(os.devnull)  # noqa: SIM115
            found[:] = imports  # without the fork, and the file of the output
            run(target, arguments)  # always exits
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def main() -> None:
    """Run one command, or those of standard input."""
    sys.addaudithook(record)
    if sys.argv[1:]:
        run(sys.argv[1], sys.argv[2:])
    else:
        serve()


if __name__ == "__main__":
    main()
