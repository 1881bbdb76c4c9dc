"""NumPy's kernels against straightforward computations."""

import numpy as np
import pytest

from nnreg.interfaces import Workspace
from nnreg.interfaces.kernels import Kernels
from nnreg.kernels.numpy.dense import MIN_MERGED_ROWS, ZEROS, _rows_to_merge
from nnreg.kernels.numpy.indexing import ROUNDS
from nnreg.kernels.numpy.softmax import MIN_TRANSPOSED_ROWS

SCRATCH = Workspace(np.float64, reuse=False)


def test_scalars_are_arrays_of_their_own_until_the_pass_ends():
    workspace = Workspace(np.float32, reuse=True)
    first = workspace.scalars(1.5, 2.5), workspace.scalars(3.5, 4.5)
    assert [[float(one) for one in pair] for pair in first] == [[1.5, 2.5], [3.5, 4.5]]
    assert {(one.shape, one.dtype) for pair in first for one in pair} == {((), np.dtype("f4"))}
    workspace.rewind()
    again = workspace.scalars(5.5, 6.5)
    assert [float(one) for one in again] == [5.5, 6.5]
    assert again[0] is first[0][0]


@pytest.mark.parametrize("positions", [1, 3, 40, 5000])
@pytest.mark.parametrize("count", [0, 1, 300, 700])
def test_rows_are_summed_by_index_however_often_an_index_occurs(positions, count):
    rng = np.random.default_rng(0)
    rows, index = rng.normal(size=(count, 7)), rng.integers(0, positions, count)
    out, expected = rng.normal(size=(positions, 7)), np.zeros((positions, 7))
    for row, position in zip(rows, index, strict=True):
        expected[position] += row
    Kernels().sum_by_index(rows, index, out)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)


def test_an_index_that_occurs_in_every_round_gets_all_its_rows():
    index = np.repeat([2, 0], [ROUNDS, ROUNDS + 1])
    out = np.zeros((3, 1))
    Kernels().sum_by_index(np.ones((len(index), 1)), index, out)
    np.testing.assert_array_equal(out[:, 0], [ROUNDS + 1, 0, ROUNDS])


@pytest.mark.parametrize("rows", [0, 1, 512, 1024, 1025, 5000, 2**20 + 1])
def test_errors_of_sums_do_not_grow_with_the_rows(rows):
    x = np.random.default_rng(0).normal(100, 1, (rows, 3)).astype(np.float32)
    out = np.empty(3, np.float32)
    Kernels().sum_rows(x, out, Workspace(np.float32, reuse=False))
    np.testing.assert_allclose(out, x.sum(axis=0, dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize("size", [1, ZEROS - 1, ZEROS, ZEROS + 1, 3 * ZEROS + 5])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_relu_is_the_maximum_of_0_and_of_nan_nan(size, dtype):
    x = np.random.default_rng(0).normal(size=(size, 1)).astype(dtype)
    x[-1], x[size // 2] = np.inf, np.nan
    expected = np.where(x < 0, 0, x)
    Kernels().relu(x, None, SCRATCH)
    np.testing.assert_array_equal(x, expected)
    other = np.asfortranarray(np.random.default_rng(0).normal(size=(90, 60)))
    expected = np.where(other < 0, 0, other)
    Kernels().relu(other, None, SCRATCH)
    np.testing.assert_array_equal(other, expected)


@pytest.mark.parametrize("rows", [0, 1, MIN_TRANSPOSED_ROWS - 1, MIN_TRANSPOSED_ROWS, 300])
@pytest.mark.parametrize("features", [1, 10, 65])
def test_softmax_of_few_rows_is_that_of_many(rows, features):
    x = np.random.default_rng(0).normal(0, 300, (rows, features))
    x[rows // 2 :] /= 100
    exponentials = np.exp(x - x.max(axis=1, keepdims=True))
    Kernels().softmax(x, SCRATCH)
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(x, expected, rtol=1e-12)


def windows(shape, kernel, stride):
    """Yield each window's position among the columns and its slices of the images."""
    (kh, kw), (sh, sw) = kernel, stride
    for row in range((shape[1] - kh) // sh + 1):
        for column in range((shape[2] - kw) // sw + 1):
            top, left = row * sh, column * sw
            yield (row, column), np.s_[:, top : top + kh, left : left + kw]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (1, 7), (3, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (1, 2), (2, 3)])
def test_windows_are_copied_and_summed_back(channels, kernel, stride):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 6, 7, channels))
    positions = list(windows(images.shape, kernel, stride))
    height, width = (1 + max(position[axis] for position, _ in positions) for axis in (0, 1))
    columns = np.empty((2, height, width, *kernel, channels))
    Kernels().im2col(images, columns, stride)
    summed, back = np.zeros_like(images), np.empty_like(images)
    for (row, column), window in positions:
        np.testing.assert_array_equal(columns[:, row, column], images[window])
        summed[window] += columns[:, row, column]
    Kernels().col2im(columns, back, stride)
    np.testing.assert_allclose(back, summed, rtol=1e-12)


@pytest.mark.parametrize(("size", "stride"), [((2, 2), (2, 2)), ((2, 2), (1, 1)), ((3, 2), (2, 3))])
def test_of_equal_values_in_a_window_the_first_gets_the_gradient(size, stride):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (3, 5, 7, 2)).astype(np.float64)
    positions = list(windows(x.shape, size, stride))
    height, width = (1 + max(position[axis] for position, _ in positions) for axis in (0, 1))
    y, dx = np.empty((3, height, width, 2)), np.full_like(x, np.nan)
    dy = rng.normal(size=y.shape)
    Kernels().max_pool(x, y, size, stride)
    Kernels().max_pool_backward(dy, x, y, dx, size, stride, SCRATCH)
    expected = np.zeros_like(x)
    for (row, column), window in positions:
        for image in range(3):
            for channel in range(2):
                part = x[window][image, :, :, channel]
                assert y[image, row, column, channel] == part.max()
                top, left = divmod(int(part.argmax()), size[1])
                expected[window][image, top, left, channel] += dy[image, row, column, channel]
    np.testing.assert_allclose(dx, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "shape",
    [
        (3, 5),
        (MIN_MERGED_ROWS, 5),
        (MIN_MERGED_ROWS + 1, 5),
        (2 * MIN_MERGED_ROWS, 63),
        (MIN_MERGED_ROWS, 500),
    ],
)
def test_a_bias_is_added_to_each_row_for_any_number_of_rows_per_call(shape):
    rng = np.random.default_rng(0)
    x, bias = rng.normal(size=shape), rng.normal(size=shape[1])
    expected = x + bias
    Kernels().add_bias(x, bias, SCRATCH)
    np.testing.assert_array_equal(x, expected)
    assert _rows_to_merge(*shape) == {(MIN_MERGED_ROWS, 5): 128, (2 * MIN_MERGED_ROWS, 63): 16}.get(
        shape, 1
    )
