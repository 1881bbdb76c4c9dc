"""Kernels with one mistake each."""

import threading
from dataclasses import dataclass

import numpy as np

from nnreg.interfaces.kernels import Kernels


@dataclass(frozen=True)
class WrongRelu(Kernels):
    """NumPy's, but without the bias"""

    def relu(self, x, bias, scratch):
        super().relu(x, None, scratch)


@dataclass(frozen=True)
class WrongLowest(Kernels):
    """NumPy's, but with the lowest number, which masked scores are, as 0"""

    def softmax(self, x, scratch):
        np.copyto(x, 0, where=np.equal(x, np.finfo(x.dtype).min))
        super().softmax(x, scratch)


@dataclass(frozen=True)
class WrongCrossEntropy(Kernels):
    """NumPy's, but with the gradient of the sum over rows"""

    def softmax_cross_entropy(self, z, labels, dz, scratch, *, smoothing=0.0):
        loss = super().softmax_cross_entropy(z, labels, dz, scratch, smoothing=smoothing)
        np.multiply(dz, len(z), out=dz)
        return loss


@dataclass(frozen=True)
class WrongAdam(Kernels):
    """NumPy's, but with twice the learning rate"""

    def adam(self, *vectors, rate, **options):
        super().adam(*vectors, rate=2 * rate, **options)


@dataclass(frozen=True)
class WrongChain(Kernels):
    """NumPy's, but with 0 as the outputs of any chain"""

    def chain_outputs(self, chain, parameters):
        return lambda x: np.zeros((len(x), chain.units), x.dtype)


@dataclass(frozen=True)
class WrongPooledConvolution(Kernels):
    """NumPy's, but without the bias"""

    def convolve_max_pool(self, images, weight, bias, *arguments, relu=False):
        super().convolve_max_pool(images, weight, None, *arguments, relu=relu)


@dataclass(frozen=True)
class OfTheThread(Kernels):
    """NumPy's, but in other threads than the first, x grows by a ten-millionth"""

    def relu(self, x, bias, scratch):
        super().relu(x, bias, scratch)
        if threading.current_thread() is not threading.main_thread():
            np.multiply(x, 1 + 2e-7, out=x)


@dataclass(frozen=True)
class SumsRows(Kernels):
    """NumPy's, but with the sum of rows for their mean"""

    def mean_by_index(self, table, index, y, scratch):
        super().mean_by_index(table, index, y, scratch)
        np.multiply(y, index.shape[1], out=y)


BROKEN = {
    "layers": [WrongRelu],
    "masked layers": [WrongLowest],
    "means": [SumsRows],
    "losses": [WrongCrossEntropy],
    "optimizers": [WrongAdam],
    "chains": [WrongChain],
    "pooled convolutions": [WrongPooledConvolution],
    "threads": [OfTheThread],
}
