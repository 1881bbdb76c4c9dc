"""The commit of a repository, read without running a program; compared with git itself."""

import os
import platform
import subprocess
from pathlib import Path

import pytest

import nnreg
from nnreg.provenance.environment import run_metadata
from nnreg.provenance.git import commit_of
from tests.helpers.specs import line, regressor

SHA1, SHA256 = "0123456789" * 4, "0123456789abcdef" * 4


def git(*args, cwd="."):
    """Run git without the settings of this machine, and return what it prints."""
    settings = ("user.name=me", "user.email=me@example.com", "protocol.file.allow=always")
    flags = [part for setting in settings for part in ("-c", setting)]
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", *flags, *args]
    return subprocess.run(
        command, cwd=cwd, env=env, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(cwd="."):
    git("commit", "-q", "--allow-empty", "-m", "a commit", cwd=cwd)


@pytest.fixture(params=["sha1", "sha256"])
def repository(tmp_path, monkeypatch, request):
    """Return a repository with two commits, in either format."""
    directory = tmp_path / "repository"
    directory.mkdir()
    monkeypatch.chdir(directory)
    git("init", "-q", f"--object-format={request.param}", "-b", "main")
    commit()
    git("tag", "first")
    commit()
    return directory


def check(directory):
    assert commit_of(directory) == git("rev-parse", "HEAD", cwd=directory)


@pytest.mark.parametrize(
    "commands",
    [
        [],
        [["checkout", "-q", "--detach", "first"]],
        [["checkout", "-q", "-b", "a/deep/näme", "first"]],
        [["pack-refs", "--all"]],
        [["pack-refs", "--all"], ["checkout", "-q", "-b", "other", "first"]],
        [["pack-refs", "--all"], ["commit", "-q", "--allow-empty", "-m", "newer than packed"]],
        [["symbolic-ref", "refs/heads/link", "refs/heads/main"],
         ["symbolic-ref", "HEAD", "refs/heads/link"]],
    ],
    ids=["branch", "detached", "deep", "packed", "packed and not", "newer", "symbolic"],
)  # fmt: skip
def test_the_commit_is_the_one_that_git_names(repository, commands):
    for command in commands:
        git(*command)
    (repository / "sub").mkdir()
    check(repository)
    check(repository / "sub")


@pytest.mark.parametrize("packed", [True, False])
def test_the_commit_of_a_linked_worktree_is_its_own(repository, tmp_path, packed):
    git("worktree", "add", "-q", "-b", "side", "../side", "first")
    if packed:
        git("pack-refs", "--all")
    check(tmp_path / "side")
    check(repository)
    assert commit_of(tmp_path / "side") != commit_of(repository)


def test_the_commit_of_a_submodule_is_its_own(repository, tmp_path):
    git("clone", "-q", ".", "../part")
    commit(tmp_path / "part")
    git("submodule", "--quiet", "add", "../part", "part")
    check(repository / "part")
    assert commit_of(repository / "part") != commit_of(repository)


def test_without_a_commit_or_a_repository_there_is_none(tmp_path):
    assert commit_of(tmp_path) is None
    git("init", "-q", cwd=tmp_path)
    assert commit_of(tmp_path) is None


def made(directory, head, **files):
    """Write a repository by hand."""
    for name, text in {"HEAD": head, **files}.items():
        file = directory / ".git" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.mark.parametrize("value", [SHA1, SHA256])
def test_a_detached_commit_is_read(tmp_path, value):
    made(tmp_path, f"{value}\n")
    assert commit_of(tmp_path) == value


@pytest.mark.parametrize(
    "name",
    [
        "../../secret", "refs/../../secret", "refs/heads/../../../secret", "/secret", "refs//x",
        "refs/heads/.hidden", "refs/heads/x.lock", "refs/heads/x.lock/y", "refs/heads/a b",
        "refs/heads/a\\..\\b", "refs/heads/c:d", "refs/heads/@{1}", "refs", "refs/", "HEAD",
        "refs/heads/a\0b", "refs/heads/" + 5000 * "x", "",
    ],
)  # fmt: skip
def test_a_name_that_git_would_refuse_is_not_opened(tmp_path, monkeypatch, name):
    made(tmp_path, f"ref: {name}\n", **{"refs/heads/main": SHA1})
    (tmp_path / "secret").write_text(SHA1)
    opened, open_file = [], os.open
    monkeypatch.setattr(
        os, "open", lambda path, *args: (opened.append(Path(path).name), open_file(path, *args))[1]
    )
    assert commit_of(tmp_path) is None
    assert set(opened) <= {"HEAD", "commondir"}


@pytest.mark.parametrize(
    "head",
    [
        "",
        "ref: refs/heads/main",
        "0" * 39,
        "0" * 41,
        SHA1.upper() + "x",
        "ref:refs/heads/main",
        "ü",
    ],
)
def test_what_is_no_commit_is_not_recorded(tmp_path, head):
    made(tmp_path, head, **{"refs/heads/main": "password\n"})
    assert commit_of(tmp_path) is None


def test_names_that_lead_to_each_other_end(tmp_path):
    made(tmp_path, "ref: refs/a", **{"refs/a": "ref: refs/b", "refs/b": "ref: refs/a"})
    assert commit_of(tmp_path) is None


@pytest.mark.skipif(os.name != "posix", reason="pipes and links are those of POSIX")
@pytest.mark.parametrize("name", [".git", ".git/HEAD", ".git/refs/heads/main", ".git/packed-refs"])
@pytest.mark.parametrize("obstacle", ["pipe", "link", "directory", "huge", "not text"])
def test_what_is_not_a_small_file_is_not_read(tmp_path, name, obstacle):
    if name != ".git":
        made(tmp_path, "ref: refs/heads/main\n", **{"refs/heads/main": SHA1})
        (tmp_path / name).unlink(missing_ok=True)
    if name == ".git/packed-refs":
        (tmp_path / ".git/refs/heads/main").unlink()
    file = tmp_path / name
    if obstacle == "pipe":
        os.mkfifo(file)
    elif obstacle == "link":
        (tmp_path / "elsewhere").write_text(SHA1)
        file.symlink_to(tmp_path / "elsewhere")
    elif obstacle == "directory":
        file.mkdir()
    elif obstacle == "huge":
        with file.open("wb") as opened:
            opened.truncate(2**40)
    else:
        file.write_bytes(b"gitdir: \xff\0")
    assert commit_of(tmp_path) is None


def test_nothing_that_the_settings_of_a_repository_name_is_run(repository, monkeypatch):
    (repository / "file").write_text("content")
    (repository / ".gitattributes").write_text("* filter=evil diff=evil\n")
    git("add", "-A")
    commit()
    programs = {
        "filter.evil.clean": "touch ran; cat", "diff.evil.command": "touch ran",
        "core.fsmonitor": "touch ran", "core.hooksPath": ".", "core.sshCommand": "touch ran",
    }  # fmt: skip
    for name, program in programs.items():
        git("config", name, program)
    os.utime(repository / "file", (1, 1))

    platform.platform()  # Python and h5py start `uname`, once, for the name of the processor

    def refuse(*_, **__):
        raise AssertionError("a program is started")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(os, "system", refuse)
    assert list(run_metadata()["git"]) == ["commit"]
    nnreg.run(regressor(), data=line(), out="out")
    assert not (repository / "ran").exists()
