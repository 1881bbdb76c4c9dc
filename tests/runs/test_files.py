"""Atomic file writes, and locks of directories."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import nnreg._utils.atomic_files
import nnreg._utils.regular_files
from nnreg import UsageError
from nnreg._utils.atomic_files import (
    append_text,
    locked,
    remove_stale_temp_files,
    replace_file,
    replace_text,
)
from nnreg._utils.regular_files import make_directory, make_real_directory
from nnreg.runs.api import prepare
from nnreg.runs.directory import create_numbered
from tests.helpers.fault_injection import FAULTS, outcomes_of_faults
from tests.helpers.specs import line, regressor
from tests.helpers.work import HANG_SECONDS

OLD, NEW = b"old" * 1000, b"new" * 2000
CHUNKS = [(512, memoryview(NEW)[512:]), (0, NEW[:512])]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_at_any_call_leaves_the_old_file_or_the_new_one(tmp_path, monkeypatch, fault):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    *faulty, whole = outcomes_of_faults(monkeypatch, fault, path, CHUNKS)
    assert whole == (False, NEW)
    assert len(faulty) >= 7  # open, two writes, fsync, replace, open and fsync of the directory
    if fault == "half":
        assert set(faulty) == {(False, NEW)}
    else:
        assert set(faulty) == {(True, OLD), (True, NEW)}


def test_an_interruption_leaves_the_old_file_and_no_other(tmp_path):
    def chunks():
        yield 0, NEW
        raise KeyboardInterrupt

    path = tmp_path / "file"
    path.write_bytes(OLD)
    with pytest.raises(KeyboardInterrupt):
        replace_file(path, chunks())
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_is_never_opened(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    os.link(path, tmp_path / "other name")
    replace_file(path, CHUNKS)
    assert (tmp_path / "other name").read_bytes() == OLD


posix_only = pytest.mark.skipif(os.name != "posix", reason="modes, links and pipes of POSIX")


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    path.chmod(mode)
    replace_file(path, CHUNKS)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes()[512:] == NEW[512:]


@posix_only
def test_a_private_file_is_private_before_anything_is_written_to_it(tmp_path):
    path, modes = tmp_path / "file", []
    path.touch()
    path.chmod(0o600)

    def chunks():
        (temporary,) = set(tmp_path.iterdir()) - {path}
        modes.append(stat.S_IMODE(temporary.stat().st_mode))
        yield 0, NEW

    replace_file(path, chunks())
    assert modes == [0o600]


@posix_only
@pytest.mark.skipif(os.name == "posix" and os.geteuid() != 0, reason="only root changes owners")
def test_a_file_keeps_its_owner(tmp_path):
    path = tmp_path / "file"
    path.touch()
    os.chown(path, 12345, 23456)
    replace_file(path, CHUNKS)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


@posix_only
@pytest.mark.parametrize("existing", [True, False])
def test_the_file_behind_a_symbolic_link_is_replaced(tmp_path, existing):
    (tmp_path / "disk").mkdir()
    link, path = tmp_path / "link", tmp_path / "disk" / "file"
    link.symlink_to("disk/file")
    if existing:
        path.write_bytes(OLD)
    replace_text(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert [*(tmp_path / "disk").iterdir()] == [path]


@posix_only
def test_a_circle_of_links_is_an_error_and_stays(tmp_path):
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="symbolic links"):
        replace_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()


@posix_only
def test_a_pipe_gets_the_bytes_in_order_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    chunks = [(512, NEW[512:]), (len(NEW), b""), (len(NEW), b"end"), (0, NEW[:512])]
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        replace_file(pipe, chunks)
        assert reader.communicate(timeout=HANG_SECONDS)[0] == NEW + b"end"
    assert [*tmp_path.iterdir()] == [pipe]
    assert pipe.is_fifo()


@posix_only
def test_a_pipe_without_a_reader_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(nnreg._utils.atomic_files, "READER_SECONDS", 0)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no process reads from this pipe"):
        replace_text(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()


@posix_only
def test_a_device_is_written_to(tmp_path):
    """By a link: as root, a mistake would otherwise replace the machine's own device."""
    (tmp_path / "null").symlink_to("/dev/null")
    replace_file(tmp_path / "null", CHUNKS)
    assert stat.S_ISCHR((tmp_path / "null").stat().st_mode)
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "full", CHUNKS)


def test_the_file_is_synced_before_its_replacement_and_the_directory_after_it(
    tmp_path, monkeypatch
):
    calls = []

    class Spy:
        def __getattr__(self, name):
            if name in ("write", "fsync", "replace"):
                calls.append(name)
            return getattr(os, name)

    for module in (nnreg._utils.atomic_files, nnreg._utils.regular_files):
        monkeypatch.setattr(module, "os", Spy())
    replace_file(tmp_path / "file", [(0, b"x")])
    assert calls == ["write", "fsync", "replace", "fsync"]


def test_text_is_appended(tmp_path):
    append_text(tmp_path / "file", "ü\n")
    append_text(tmp_path / "file", "b\n")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "ü\nb\n"


KILLED = """
import os, signal, sys
from pathlib import Path
from nnreg._utils.atomic_files import replace_file
def chunks():
    yield 0, b"half"
    if len(sys.argv) > 2:
        print("writing", flush=True)
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
replace_file(Path(sys.argv[1]), chunks())
"""


def test_temporary_files_of_killed_processes_are_removed_and_nothing_else(tmp_path):
    others = {tmp_path / name for name in (".file.tmp", "file", ".file.0123456789ab.tmp.h5")}
    for other in others:
        other.touch()
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "file")], check=False)
    assert len(set(tmp_path.iterdir()) - others) == 1
    remove_stale_temp_files(tmp_path)
    assert set(tmp_path.iterdir()) == others


def test_the_temporary_file_of_a_running_process_stays(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path / "file"), "wait"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing\n"
        remove_stale_temp_files(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
    remove_stale_temp_files(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_file_removed_before_it_was_locked_is_created_again(tmp_path, monkeypatch):
    lock, removed = nnreg._utils.atomic_files._lock, []

    def remove_first(file):
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].unlink()
        return lock(file)

    monkeypatch.setattr(nnreg._utils.atomic_files, "_lock", remove_first)
    replace_file(tmp_path / "file", [(0, NEW)])
    assert removed
    assert (tmp_path / "file").read_bytes() == NEW


LOCKING = """
import sys
from pathlib import Path
from nnreg._utils.atomic_files import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    command = [sys.executable, "-c", LOCKING, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"locked\n"
        yield process
        process.kill()


def test_a_second_process_is_rejected_with_the_pid_of_the_first(tmp_path, holder):
    with pytest.raises(UsageError, match=f"run directory is locked by process {holder.pid}"):
        locked(tmp_path).__enter__()


def test_the_lock_of_a_killed_process_is_released(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "lock").exists()
    with locked(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    assert list(tmp_path.iterdir()) == []


def test_one_of_many_processes_has_the_lock_at_a_time(tmp_path):
    script = """
import sys
from pathlib import Path
from nnreg import UsageError
from nnreg._utils.atomic_files import locked
directory, count = Path(sys.argv[1]), 0
print("ready", flush=True)
sys.stdin.readline()
while count < 100:
    try:
        with locked(directory):
            (directory / "inside").touch(exist_ok=False)
            (directory / "inside").unlink()
            count += 1
    except UsageError:
        pass
print(count)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 3
    for process in processes:
        process.stdin.write("begin\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=HANG_SECONDS)[0] for process in processes]
    assert outputs == ["100\n"] * 3


def test_a_file_system_without_locks_works_too(tmp_path, monkeypatch):
    monkeypatch.setattr(nnreg._utils.atomic_files, "_lock", lambda file: None)
    with locked(tmp_path):
        replace_text(tmp_path / "file", "x")
    stale = tmp_path / ".file.0123456789ab.tmp"
    stale.touch()
    remove_stale_temp_files(tmp_path)
    assert stale.exists()  # it is unknown whether it is in use


@posix_only
def test_each_directory_in_which_one_is_created_is_synced(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    make_directory(tmp_path / "a/b/c")
    assert synced == [(tmp_path / part).stat().st_ino for part in ("", "a", "a/b")]
    make_directory(tmp_path / "a/b/c")
    make_real_directory(tmp_path / "a/b/c")
    assert len(synced) == 3


@posix_only
@pytest.mark.parametrize("folds", [None, 2])
def test_the_directories_of_a_run_are_synced(tmp_path, monkeypatch, folds):
    monkeypatch.chdir(tmp_path)
    synced, fsync = set(), os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda file: (synced.add(os.fstat(file).st_ino), fsync(file))[1]
    )
    spec = regressor(train={"epochs": 1, **({"folds": folds} if folds else {})})
    found = prepare(spec, out=create_numbered("x"), data=line())
    found.train()
    directories = [Path(), *(path for path in Path("runs").rglob("*") if path.is_dir())]
    assert {path.stat().st_ino for path in [Path("runs"), *directories]} <= synced


@pytest.mark.parametrize("content", [b"my notes\n", b"12 \n", b"1" * 30])
def test_a_file_of_the_user_named_lock_is_not_overwritten(tmp_path, content):
    (tmp_path / "lock").write_bytes(content)
    with pytest.raises(OSError, match='"lock" is not one of nnreg'):
        locked(tmp_path).__enter__()
    assert (tmp_path / "lock").read_bytes() == content


@posix_only
def test_a_lock_with_another_name_elsewhere_is_not_overwritten(tmp_path):
    (tmp_path / "file").write_bytes(b"123\n")
    os.link(tmp_path / "file", tmp_path / "lock")
    with pytest.raises(OSError, match='"lock" is not one of nnreg'):
        locked(tmp_path).__enter__()
    assert (tmp_path / "file").read_bytes() == b"123\n"


@posix_only
def test_a_number_whose_directory_is_a_link_to_nothing_is_taken(tmp_path):
    (tmp_path / "x-001").symlink_to("nothing")
    directory = create_numbered("x", tmp_path)
    directory.create()
    assert directory.path == tmp_path / "x-002"
