"""What the program says besides its results."""

import logging

from nnreg.cli import app
from nnreg.kernels import compiling
from nnreg.kernels.compiling import NOTE, announce


def test_it_says_once_that_loops_are_compiled(capsys):
    with app._printing_notes():
        announce()
        announce()
    announce()
    assert capsys.readouterr().err == f"note: {NOTE}\n"


def test_a_program_that_logs_finds_once_that_loops_are_compiled(caplog):
    compiling._log_once.cache_clear()
    with caplog.at_level(logging.INFO, "nnreg"):
        announce()
        announce()
    assert caplog.record_tuples == [("nnreg", logging.INFO, NOTE)]
