"""What the program says besides its results."""

from nnreg.cli import app
from nnreg.kernels.compiling import NOTE, announce


def test_it_says_once_that_loops_are_compiled(capsys):
    with app._printing_notes():
        announce()
        announce()
    announce()
    assert capsys.readouterr().err == f"note: {NOTE}\n"
