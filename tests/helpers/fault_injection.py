"""Injection of failures of the operating system."""

import errno
import os


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
