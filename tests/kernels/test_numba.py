"""Each compiled kernel compared with NumPy's."""

import numpy as np
import pytest

import nnreg
from nnreg.builtin.kernels.numba import NumbaKernels
from nnreg.interfaces import Workspace
from nnreg.interfaces.kernels import Kernels
from nnreg.registry.kernels import default_kernels, name_of
from nnreg.registry.registry import installed
from nnreg.testing import checks

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")

RNG = np.random.default_rng(0)


def arrays(dtype, *shapes):
    return [RNG.normal(size=shape).astype(dtype) for shape in shapes]


def pooled(kernels, scratch, x, dy, size, stride):
    y, dx = np.empty_like(dy), np.empty_like(x)
    kernels.max_pool(x, y, size, stride)
    kernels.max_pool_backward(dy, x, y, dx, size, stride, scratch)
    return y, dx


def copied(kernels, scratch, images, stride):
    (sh, sw), (_, height, width, _) = stride, images.shape
    columns = np.empty((2, (height - 3) // sh + 1, (width - 2) // sw + 1, 3, 2, 3), images.dtype)
    kernels.im2col(images, columns, stride)
    back = np.empty_like(images)
    kernels.col2im(np.cos(columns), back, stride)
    return columns, back


def rectified(kernels, scratch, x, bias, dy):
    y, dx, dbias = x.copy(), np.empty_like(x), np.empty_like(bias)
    kernels.relu(y, bias, scratch)
    kernels.relu_backward(dy, y, dx, dbias, scratch)
    return y, dx, dbias


def biased(kernels, scratch, x, bias):
    y = x.copy()
    kernels.add_bias(y, bias, scratch)
    return (y,)


def stepped(kernels, scratch, p, *gradients):
    p, m, v = p.copy(), np.zeros_like(p), np.zeros_like(p)
    for g in gradients:
        kernels.adam(p, g, m, v, scratch, rate=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8)
    return p, m, v


def stepped_otherwise(kernels, scratch, p, *gradients):
    found = np.zeros((6, p.size), p.dtype)
    found[::2] = p
    for g in gradients:
        kernels.rms_prop(found[0], g, found[1], scratch, rate=0.01, rho=0.9, epsilon=1e-8)
        for k, nesterov in ((2, False), (4, True)):
            options = {"rate": 0.01, "momentum": 0.9, "nesterov": nesterov}
            kernels.momentum(found[k], g, found[k + 1], scratch, **options)
    return (found,)


def added(kernels, scratch, rows):
    out = np.ones((4, rows.shape[1]), rows.dtype)
    kernels.sum_by_index(rows, np.array([0, 3, 3, 1, 0]), out)
    return (out,)


def classified(kernels, scratch, z):
    dz = np.empty_like(z)
    loss = kernels.softmax_cross_entropy(z, np.arange(len(z)) % z.shape[1], dz, scratch)
    return np.array(loss, z.dtype), dz


def weighted_classified(kernels, scratch, z, weights):
    dz, labels = np.empty_like(z), np.arange(len(z)) % z.shape[1]
    loss = kernels.weighted_softmax_cross_entropy(
        z, labels, np.abs(weights), dz, scratch, smoothing=0.1
    )
    return np.array(loss, z.dtype), dz


def normalized_by_softmax(kernels, scratch, x, dy):
    y, dx = x.copy(), np.empty_like(x)
    kernels.softmax(y, scratch)
    kernels.softmax_backward(dy, y, dx, scratch)
    return y, dx


def normalized(kernels, scratch, x, gamma, beta, dy):
    y, dx, mean, scale = *np.empty((2, *x.shape), x.dtype), *np.empty((2, len(x)), x.dtype)
    dgamma, dbeta = np.empty_like(gamma), np.empty_like(gamma)
    kernels.layer_norm(x, gamma, beta, y, mean, scale, 1e-5, scratch)
    kernels.layer_norm_backward(dy, x, gamma, mean, scale, dx, dgamma, dbeta, scratch)
    return y, mean, scale, dx, dgamma, dbeta


def normalized_by_size(kernels, scratch, x, gamma, dy):
    y, dx, scale, dgamma = *np.empty((2, *x.shape), x.dtype), x[:, 0].copy(), gamma.copy()
    kernels.layer_norm(x, gamma, None, y, None, scale, 1e-5, scratch)
    kernels.layer_norm_backward(dy, x, gamma, None, scale, dx, dgamma, None, scratch)
    return y, scale, dx, dgamma


def measured(kernels, scratch, x, dy):
    found = np.empty((4, len(x), x.shape[2]), x.dtype)
    mean, squares, total, products = found
    kernels.column_moments(x, mean, squares, scratch)
    kernels.column_products(dy, x, mean, total, products, scratch)
    return (found,)


def normalized_columns(kernels, scratch, x, dy, mean, slope, shift, change):
    y, dx = np.empty_like(x), np.empty_like(x)
    kernels.normalize_columns(x, mean, slope, shift, y, scratch)
    kernels.normalize_columns_backward(dy, x, mean, slope, change, shift, dx, scratch)
    return y, dx


def lstm_stepped(kernels, scratch, weights, below, states, above, dh, dc):
    (time, n, batch), states, below = above.shape, states.copy(), below.copy()
    tanh_c, dgates = np.zeros_like(above), np.zeros((4 * n, time, batch), dh.dtype)
    dh, dc, weights = dh.copy(), dc.copy(), weights / np.sqrt(len(weights), dtype=dh.dtype)
    kernels.lstm_steps(weights, below, states, tanh_c, below[1:, :n], None, scratch)
    for gradients in (above, None):
        kernels.lstm_steps_backward(
            weights[:n], gradients, dh, dc, states[:-1], tanh_c, dgates, None, None, scratch
        )
    return states[:-1], states[-1, 4 * n :], tanh_c, below, dgates.copy(), dh, dc


def lstm_shapes(units, batch):
    """Return the shapes of three steps with two inputs."""
    state = (units, batch)
    return [(units + 3, 4 * units), (4, units + 3, batch), (4, 5 * units, batch), (3, *state),
            state, state]  # fmt: skip


COLUMNS = [(1, 1300, 3), (1, 1, 1), (3, 40, 17), (2, 1, 5), (2, 0, 3)]

CASES = [
    (rectified, [(7, 5), (5,), (7, 5)], ()),
    *((biased, [shape, shape[1:]], ()) for shape in [(1, 1), (7, 5), (300, 33)]),
    (stepped, [(99,), (99,), (99,), (99,)], ()),
    *((stepped_otherwise, [(size,)] * 4, ()) for size in (1, 99)),
    (pooled, [(2, 6, 5, 3), (2, 3, 2, 3)], ((2, 2), (2, 2))),
    (pooled, [(2, 6, 5, 3), (2, 4, 2, 3)], ((3, 2), (1, 2))),
    (copied, [(2, 6, 5, 3)], ((1, 1),)),
    (copied, [(2, 6, 5, 3)], ((2, 3),)),
    *(
        (lstm_stepped, lstm_shapes(units, batch), ())
        for units, batch in [(1, 1), (6, 5), (1, 16), (5, 17), (6, 31), (3, 33), (64, 49)]
    ),
    *((added, [shape], ()) for shape in [(5, 6), (5, 1), (5, 67)]),
    (normalized_by_softmax, [(7, 5), (7, 5)], ()),
    (normalized_by_softmax, [(7, 100), (7, 100)], ()),
    (normalized, [(7, 33), (33,), (33,), (7, 33)], ()),
    (normalized, [(1300, 2), (2,), (2,), (1300, 2)], ()),
    (normalized_by_size, [(7, 33), (33,), (7, 33)], ()),
    (normalized_by_size, [(1300, 2), (2,), (1300, 2)], ()),
    *((measured, [shape] * 2, ()) for shape in COLUMNS),
    *((normalized_columns, [shape] * 2 + [shape[::2]] * 4, ()) for shape in COLUMNS),
    (classified, [(9, 4)], ()),
    (classified, [(9, 100)], ()),
    (classified, [(130, 32)], ()),
    (classified, [(5, 1025)], ()),
    (weighted_classified, [(1, 1), (1,)], ()),
    (weighted_classified, [(9, 4), (9,)], ()),
    (weighted_classified, [(9, 100), (9,)], ()),
    (weighted_classified, [(130, 32), (130,)], ()),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("run", "shapes", "options"), CASES)
def test_a_compiled_kernel_agrees_with_numpy(run, shapes, options, dtype):
    inputs = arrays(dtype, *shapes)
    scratch = Workspace(dtype, reuse=False)
    results = [run(kernels, scratch, *inputs, *options) for kernels in (Kernels(), NumbaKernels())]
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for plain, compiled in zip(*results, strict=True):
        assert compiled.dtype == dtype
        np.testing.assert_allclose(compiled, plain, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("check", checks(NumbaKernels), ids=str)
def test_the_kernels_conform(check):
    check()


def test_nan_is_propagated():
    scratch = Workspace(np.float32, reuse=False)
    x = np.array([[np.nan, np.inf, 1]], np.float32)
    y, _, _ = rectified(NumbaKernels(), scratch, x, np.zeros(3, np.float32), x)
    np.testing.assert_array_equal(y, x)
    image = np.array([np.nan, 1, 2, 3], np.float32).reshape(1, 2, 2, 1)
    y, _ = pooled(NumbaKernels(), scratch, image, np.ones((1, 1, 1, 1), np.float32), (2, 2), (2, 2))
    assert np.isnan(y).all()
    loss, _ = classified(NumbaKernels(), scratch, x)
    assert not np.isfinite(loss)


def test_a_softmax_is_correct_at_extremes_and_propagates_nan():
    x = np.array([[0, -86, -88, -np.inf], [1e4, -1e4, 3e38, 0], [0, np.nan, 1, 2]], np.float32)
    y, _ = normalized_by_softmax(NumbaKernels(), Workspace(np.float32, reuse=False), x, x)
    np.testing.assert_allclose(y[0], [1, np.exp(-86), 0, 0], rtol=1e-5)
    np.testing.assert_array_equal(y[1], [0, 0, 1, 0])
    assert np.isnan(y[2]).all()


def test_steps_of_adam_are_right_for_gradients_whose_square_overflows():
    scratch, (p, g) = Workspace(np.float32, reuse=False), arrays(np.float32, (99,), (99,))
    small = stepped(NumbaKernels(), scratch, p, g, g)
    large = stepped(NumbaKernels(), scratch, p, *[g * np.float32(1e20)] * 2)
    np.testing.assert_allclose(large[0], small[0], rtol=1e-4, atol=1e-5)
    assert np.isfinite(large[2]).all()


def test_nan_in_a_gradient_reaches_the_parameters_and_the_state():
    p, g = np.ones((2, 33), np.float32)
    g[:2] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        plain, found = (
            stepped_otherwise(kernels, Workspace(np.float32, reuse=False), p, g, g)[0]
            for kernels in (Kernels(), NumbaKernels())
        )
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(plain))
    assert np.isnan(found[:, 0]).all()


def test_extreme_wrong_logits_give_a_finite_loss():
    z = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0]], np.float32)
    loss, dz = classified(NumbaKernels(), Workspace(np.float32, reuse=False), z[::-1].copy())
    assert loss == pytest.approx(2e4)
    assert np.isfinite(dz).all()


def test_the_gates_of_an_lstm_are_within_their_bounds_at_extremes():
    weights = np.array([[0] * 4, [1e4, -1e4, 30, -9.5]], np.float32)
    below, states, (above,) = np.ones((3, 2, 16)), np.zeros((3, 5, 16)), np.ones((1, 2, 1, 16))
    state = np.zeros((1, 16))
    given = [one.astype(np.float32) for one in (below, states, above, state, state)]
    scratch = Workspace(np.float32, reuse=False)
    gates, *others = lstm_stepped(NumbaKernels(), scratch, weights, *given)
    assert np.abs(gates[:, :4]).max() <= 1
    assert all(np.isfinite(one).all() for one in others)
    given[0][0, 1, 3] = np.nan
    gates, *_, below, _, dh, _ = lstm_stepped(NumbaKernels(), scratch, weights, *given)
    for found in (gates[:, :4], below[1:, :1], dh):
        assert np.isnan(found).any()
        assert np.isfinite(np.delete(found, 3, axis=-1)).all()


SPEC = {
    "model": {
        "layers": [
            {"type": "conv2d", "filters": 4, "activation": "relu"},
            {"type": "max_pool2d"},
            {"type": "flatten"},
            {"type": "dense", "units": "classes", "activation": "softmax"},
        ]
    },
    "loss": "cross_entropy",
    "optimizer": "adam",
    "train": {"epochs": 3},
}


def test_they_are_used_by_default_in_long_jobs_alone():
    assert name_of(default_kernels(installed(), 1.0), installed()) == "numpy"
    assert "numba" in name_of(default_kernels(installed(), 1000.0), installed())


def test_a_run_with_them_trains_as_one_without(tmp_path):
    x = RNG.normal(size=(40, 8, 8))
    y = np.where(x[:, 0, 0] > 0, "up", "down")
    losses = []
    for name in ("numba", "numpy"):
        out = tmp_path / name
        model = nnreg.run(SPEC, data=(x, y), out=out, overrides=[f"train.kernels={name}"])
        assert f'"kernels": "{name}"' in (out / "summary.json").read_text()
        losses.append(model.history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)
