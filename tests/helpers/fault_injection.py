"""Injection of failures of the operating system."""

import errno
import os

from nnreg._utils import atomic_files, direct_writes, regular_files
from nnreg._utils.atomic_files import replace_file


class Faults:
    """A replacement of `os` in which the n-th call that changes the disk fails."""

    CALLS = ("open", "write", "fsync", "replace", "unlink", "truncate")

    def __init__(self, at, fault):
        self.calls, self.at, self.fault = 0, at, fault

    def __getattr__(self, name):
        call = getattr(os, name)
        if name not in self.CALLS:
            return call

        def counted(*args):
            self.calls += 1
            return self.fault(call, *args) if self.calls == self.at else call(*args)

        return counted


def raising(code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    return fail


def half_a_write(call, *args):
    if call is not os.write:
        return call(*args)
    return call(args[0], args[1][: len(args[1]) // 2])


FAULTS = {
    "full": raising(errno.ENOSPC),
    "read-only": raising(errno.EROFS),
    "broken": raising(errno.EIO),
    "vanished": raising(errno.ENOENT),
    "half": half_a_write,
}


def outcomes_of_faults(monkeypatch, fault, path, chunks):
    """Replace a file again and again, with a fault at the first call, at the second, and so on.

    Return for each time whether that failed, and what was in the file; the last one had no fault.
    """
    outcomes, old = [], path.read_bytes()
    for at in range(1, 100):
        path.write_bytes(old)
        system = Faults(at, FAULTS[fault])
        with monkeypatch.context() as patch:
            for module in (atomic_files, direct_writes, regular_files):
                patch.setattr(module, "os", system)
            try:
                replace_file(path, chunks)
                failed = False
            except OSError:
                failed = True
        assert list(path.parent.iterdir()) == [path]
        outcomes.append((failed, path.read_bytes()))
        if system.calls < at:
            break
    return outcomes
