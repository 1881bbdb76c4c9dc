"""Steps of chains of dense layers in one call of compiled kernels, compared with those by layer."""

from dataclasses import replace

import numpy as np
import pytest

import nnreg
from nnreg.interfaces.dense_chain import ChainArrays, ChainTraining
from nnreg.network.dense_chain import dense_chain
from nnreg.testing.finite_differences import central_differences
from tests.helpers.resuming import assert_same

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")
