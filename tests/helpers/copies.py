"""What is trained once for the tests of a module; each gets it as it was, at the same path."""

import shutil
from contextlib import contextmanager

import pytest


def kept(directory):
    return directory.with_name(f"{directory.name}.kept")


@contextmanager
def new_directory(tmp_path_factory):
    """Make a working directory in which something is to be trained, and keep a copy at the end."""
    directory = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        yield directory
    shutil.copytree(directory, kept(directory))


def enter_copy(directory, monkeypatch):
    """Undo what earlier tests changed in a directory, and go there."""
    shutil.rmtree(directory)
    shutil.copytree(kept(directory), directory)
    monkeypatch.chdir(directory)
