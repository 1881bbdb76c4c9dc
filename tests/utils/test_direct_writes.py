"""Direct writes: the same bytes as the usual ones, also where the system refuses them."""

import errno
import os
import sys
from contextlib import contextmanager

import pytest

from nnreg._utils import atomic_files, direct_writes
from nnreg._utils.atomic_files import replace_file
from nnreg._utils.direct_writes import BLOCK_BYTES, BUFFER_BYTES, write_direct
from tests.helpers.fault_injection import FAULTS, outcomes_of_faults

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux writes directly")

LARGE = os.urandom(3 * BUFFER_BYTES)
OLD = b"old" * 1000


class Writes:
    """A replacement of `os` that notes for each write whether it was direct and how long."""

    def __init__(self, fault=os.write):
        self.direct, self.usual, self._fault = [], [], fault

    def __getattr__(self, name):
        return getattr(os, name)

    def write(self, file, data):
        import fcntl

        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_DIRECT:
            self.direct.append(len(data))
            return self._fault(file, data)
        self.usual.append(len(data))
        return os.write(file, data)


def refusing(file, data):
    raise OSError(errno.EINVAL, "Invalid argument")


def half(file, data):
    return os.write(file, data[: len(data) // 2])


def odd(file, data):
    """Write a part that ends within a block, as some systems do when the disk becomes full."""
    os.write(file, data)
    os.lseek(file, 1001 - len(data), os.SEEK_CUR)
    return 1001


@pytest.fixture
def noted(monkeypatch):
    """Return a function that replaces `os` by noted writes with a fault."""

    def replace(fault=os.write):
        writes = Writes(fault)
        for module in (atomic_files, direct_writes):
            monkeypatch.setattr(module, "os", writes)
        return writes

    return replace


def chunks_of(data, cuts):
    ends = [*cuts, len(data)]
    return [
        (start, memoryview(data)[start:end]) for start, end in zip([0, *cuts], ends, strict=True)
    ]


CUTS = [
    [],
    [512],
    [BLOCK_BYTES],
    [BLOCK_BYTES + 1, BUFFER_BYTES + BLOCK_BYTES + 1],
    [BLOCK_BYTES - 1, BUFFER_BYTES + BLOCK_BYTES],
    [1, BUFFER_BYTES, 2 * BUFFER_BYTES + 7],
]
"""Where the chunks of a file begin, within a block or at its start."""


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("size", [-1, 0, 1, BLOCK_BYTES])
def test_a_file_of_large_chunks_has_the_bytes_of_plain_writes(tmp_path, cuts, size):
    data = LARGE + LARGE[:size] if size >= 0 else LARGE[:size]
    replace_file(tmp_path / "file", chunks_of(data, cuts))
    assert (tmp_path / "file").read_bytes() == data


@pytest.mark.parametrize("cuts", CUTS)
def test_chunks_may_come_in_any_order(tmp_path, cuts):
    replace_file(tmp_path / "file", chunks_of(LARGE, cuts)[::-1])
    assert (tmp_path / "file").read_bytes() == LARGE


@linux_only
@pytest.mark.parametrize("fault", [refusing, half, odd])
@pytest.mark.parametrize("cuts", CUTS)
def test_what_is_not_written_directly_is_written_in_the_usual_way(tmp_path, noted, cuts, fault):
    writes = noted(fault)
    replace_file(tmp_path / "file", chunks_of(LARGE, cuts))
    assert writes.direct
    assert (tmp_path / "file").read_bytes() == LARGE


def test_a_file_system_without_direct_writes_gets_the_usual_ones(tmp_path, monkeypatch):
    @contextmanager
    def refuse(file):
        raise OSError(errno.EINVAL, "Invalid argument")
        yield

    monkeypatch.setattr(direct_writes, "_uncached", refuse)
    replace_file(tmp_path / "file", [(0, LARGE)])
    assert (tmp_path / "file").read_bytes() == LARGE


@linux_only
def test_only_whole_blocks_of_large_chunks_are_written_directly(tmp_path, noted):
    writes = noted()
    replace_file(tmp_path / "file", [(0, b"small"), (5, LARGE)])
    if not writes.direct:
        pytest.skip("the file system has no direct writes")
    assert sum(writes.direct) == len(LARGE) - BLOCK_BYTES
    assert writes.usual == [5, BLOCK_BYTES - 5, 5]
    assert max(writes.direct) == BUFFER_BYTES


@linux_only
def test_writes_are_the_usual_ones_again_afterwards(tmp_path):
    import fcntl

    file = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    try:
        before = fcntl.fcntl(file, fcntl.F_GETFL)
        write_direct(file, memoryview(LARGE))
        assert fcntl.fcntl(file, fcntl.F_GETFL) == before
    finally:
        os.close(file)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_at_any_call_leaves_the_old_large_file_or_the_new_one(
    tmp_path, monkeypatch, fault
):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    chunks = [(512, memoryview(LARGE)[512:]), (0, LARGE[:512])]
    *faulty, whole = outcomes_of_faults(monkeypatch, fault, path, chunks)
    assert whole == (False, LARGE)
    assert all(outcome in [(True, OLD), (True, LARGE), (False, LARGE)] for outcome in faulty)
    assert len(faulty) >= 7  # open, two writes, fsync, replace, open and fsync of the directory
