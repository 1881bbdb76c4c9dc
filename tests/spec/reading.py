"""Functions that read a spec, or the problems of one."""

import pytest

from nnreg import SpecError
from nnreg.spec.document import read_spec


def tree_of(*args, **kwargs):
    return read_spec(*args, **kwargs).tree


def problems_of(*args):
    with pytest.raises(SpecError) as caught:
        read_spec(*args)
    return [str(problem) for problem in caught.value.problems]
