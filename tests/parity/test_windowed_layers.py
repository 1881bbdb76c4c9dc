"""Convolutions, pooling and shapes beside PyTorch: outputs and gradients to 1e-10 in float64."""

import numpy as np
import pytest

from nnreg.registry.registry import installed
from tests.parity.comparison import peer, require_all
from tests.parity.layers import compare_layer

pytestmark = pytest.mark.verify

RNG = np.random.default_rng(0)
INPUTS = {
    0: RNG.normal(size=(3, 4)),
    1: RNG.normal(size=(3, 9, 4)),
    2: RNG.normal(size=(3, 7, 6, 4)),
    3: RNG.normal(size=(2, 5, 6, 4, 4)),
}
MODES = {"zeros": "constant", "reflect": "reflect", "edge": "replicate", "circular": "circular"}


def first(x):
    """Move the channels to the axis where PyTorch has them."""
    return x.movedim(-1, 1)


def last(y):
    return y.movedim(1, -1)


def in_order(weight):
    """Return our `(*kernel, channels, filters)` as PyTorch's `(filters, channels, *kernel)`."""
    dims = weight.ndim - 2
    return weight.permute(dims + 1, dims, *range(dims))


def convolution(dims, pad=None, mode="zeros", **options):
    """Return PyTorch's convolution; `pad` is as in its `pad`, from the last axis to the first."""

    @peer(f"torch.nn.functional.conv{dims}d")
    def compute(torch, x, p):
        functional = torch.nn.functional
        x = first(x)
        if pad:
            x = functional.pad(x, pad, mode=MODES[mode])
        convolve = getattr(functional, f"conv{dims}d")
        return last(convolve(x, in_order(p["weight"]), p["bias"], **options))

    return compute


def transposed(dims, cut=None, **options):
    """Return PyTorch's transposed convolution; `cut` is what to add or remove, as in its `pad`."""

    @peer(f"torch.nn.functional.conv_transpose{dims}d")
    def compute(torch, x, p):
        functional = torch.nn.functional
        weight = in_order(p["weight"]).transpose(0, 1)
        y = getattr(functional, f"conv_transpose{dims}d")(first(x), weight, **options)
        return last(functional.pad(y, cut) if cut else y) + p["bias"]

    return compute


def separable(dims, **options):
    """Return PyTorch's convolution of each channel, and the product of all channels at a place."""

    @peer(f"torch.nn.functional.conv{dims}d")
    def compute(torch, x, p):
        weight = in_order(p["depthwise/weight"])
        convolve = getattr(torch.nn.functional, f"conv{dims}d")
        inner = last(convolve(first(x), weight, groups=x.shape[-1], **options))
        return inner @ p["pointwise/weight"] + p["pointwise/bias"]

    return compute


def pooling(name, **options):
    @peer(f"torch.nn.functional.{name}")
    def compute(torch, x, p):
        return last(getattr(torch.nn.functional, name)(first(x), **options))

    return compute


def over_space(name):
    @peer(f"torch.{name}")
    def compute(torch, x, p):
        return getattr(torch, name)(x, dim=tuple(range(1, x.ndim - 1)))

    return compute


def method(name, *args):
    """Return a method of PyTorch's tensors."""

    @peer(f"torch.Tensor.{name}")
    def compute(torch, x, p):
        return getattr(x, name)(*args)

    return compute


def repeated(times):
    @peer("torch.Tensor.repeat")
    def compute(torch, x, p):
        return x[:, None].repeat(1, times, 1)

    return compute


def of(dims, theirs, **options):
    return dims, options, theirs


CASES = {
    "conv1d": [
        of(1, convolution(1), filters=3),
        of(1, convolution(1, stride=2, dilation=3), filters=3, stride=2, dilation=3),
        of(1, convolution(1, (1, 2)), filters=3, kernel=4, padding="same"),
        of(1, convolution(1, (4, 0), dilation=2), filters=3, padding="causal", dilation=2),
        of(1, convolution(1, padding=2, groups=2), filters=6, padding=2, groups=2),
        *(
            of(1, convolution(1, (2, 2), mode), filters=3, padding=2, padding_mode=mode)
            for mode in MODES
        ),
    ],
    "conv2d": [
        of(2, convolution(2), filters=3),
        of(2, convolution(2, stride=(2, 1)), filters=3, kernel=[2, 3], stride=[2, 1]),
        of(2, convolution(2, (0, 1, 1, 2)), filters=3, kernel=[4, 2], padding="same"),
        of(2, convolution(2, (0, 1, 1, 1), stride=2), filters=3, padding="same", stride=2),
        of(2, convolution(2, dilation=(2, 1)), filters=3, dilation=[2, 1]),
        of(2, convolution(2, (1, 1, 2, 2), dilation=(2, 1)), filters=3, dilation=[2, 1],
           padding="same"),
        of(2, convolution(2, padding=(1, 2), stride=2), filters=3, padding=[1, 2], stride=2),
        of(2, convolution(2, groups=2), filters=6, groups=2),
        of(2, convolution(2, groups=4, dilation=2, padding=2), filters=8, groups=4, dilation=2,
           padding="same"),
        *(
            of(2, convolution(2, (2, 2, 1, 1), mode), filters=3, padding=[1, 2], padding_mode=mode)
            for mode in MODES
        ),
    ],
    "conv3d": [
        of(3, convolution(3), filters=3),
        of(3, convolution(3, padding=1, stride=(2, 1, 1)), filters=3, padding=1, stride=[2, 1, 1]),
        of(3, convolution(3, (1, 1, 1, 1, 1, 1)), filters=3, padding="same"),
        of(3, convolution(3, groups=2, dilation=(1, 2, 1)), filters=6, groups=2,
           dilation=[1, 2, 1]),
        *(
            of(3, convolution(3, (1,) * 6, mode), filters=3, padding=1, padding_mode=mode)
            for mode in MODES
        ),
    ],
    "conv1d_transpose": [
        of(1, transposed(1), filters=3),
        of(1, transposed(1, stride=2, padding=1, output_padding=1, dilation=2), filters=3,
           stride=2, padding=1, output_padding=1, dilation=2),
        of(1, transposed(1, (0, -1), stride=2), filters=3, stride=2, padding="same"),
        of(1, transposed(1, (0, 2), stride=3), filters=3, kernel=1, stride=3, padding="same"),
    ],
    "conv2d_transpose": [
        of(2, transposed(2), filters=3),
        of(2, transposed(2, stride=2), filters=3, kernel=[2, 3], stride=2),
        of(2, transposed(2, stride=2, padding=1), filters=3, kernel=4, stride=2, padding="same"),
        of(2, transposed(2, stride=(2, 1), padding=(1, 0), output_padding=(1, 0)), filters=3,
           stride=[2, 1], padding=[1, 0], output_padding=[1, 0]),
        of(2, transposed(2, (0, -1, 0, -1), stride=2), filters=3, stride=2, padding="same"),
        of(2, transposed(2, padding=1), filters=3, padding="same"),
    ],
    "conv3d_transpose": [
        of(3, transposed(3, stride=2), filters=3, kernel=2, stride=2),
        of(3, transposed(3, padding=1, dilation=(1, 2, 1)), filters=3, padding=1,
           dilation=[1, 2, 1]),
    ],
    "depthwise_conv1d": [
        of(1, convolution(1, groups=4)),
        of(1, convolution(1, (4, 0), groups=4, dilation=2), padding="causal", dilation=2,
           multiplier=2),
    ],
    "depthwise_conv2d": [
        of(2, convolution(2, groups=4)),
        of(2, convolution(2, groups=4, stride=2, padding=1), multiplier=2, stride=2, padding=1),
        of(2, convolution(2, (1, 1, 1, 1), "reflect", groups=4), padding="same",
           padding_mode="reflect"),
    ],
    "separable_conv1d": [
        of(1, separable(1), filters=3),
        of(1, separable(1, stride=2, padding=1), filters=3, stride=2, padding=1, multiplier=2),
    ],
    "separable_conv2d": [
        of(2, separable(2), filters=3),
        of(2, separable(2, stride=2, padding=1), filters=3, stride=2, padding=1, multiplier=2),
    ],
    **{
        f"{name}_pool{dims}d": [
            of(dims, pooling(theirs := f"{short}_pool{dims}d", kernel_size=2)),
            of(dims, pooling(theirs, kernel_size=3, stride=2), size=3, stride=2),
            of(dims, pooling(theirs, kernel_size=2, stride=1), size=2, stride=1),
            of(dims, pooling(theirs, kernel_size=3, stride=2, padding=1, **counted), size=3,
               stride=2, padding=1),
            of(dims, pooling(theirs, kernel_size=3, stride=1, padding=1, **counted), size=3,
               stride=1, padding="same"),
        ]
        for name, short, counted in (
            ("max", "max", {}), ("average", "avg", {"count_include_pad": False}),
        )
        for dims in (1, 2, 3)
    },
    **{
        f"global_{name}_pool{suffix}": [of(dims, over_space(theirs))]
        for name, theirs in (("average", "mean"), ("max", "amax"))
        for dims in (1, 2, 3)
        for suffix in (f"{dims}d", *[""] * (dims == 2))
    },
    **{
        f"adaptive_{name}_pool{dims}d": [
            of(dims, pooling(f"adaptive_{short}_pool{dims}d", output_size=size), output_size=size)
            for size in (1, 3, 10, *[(4, 2, 3)[:dims]] * (dims > 1))
        ]
        for name, short in (("max", "max"), ("average", "avg"))
        for dims in (1, 2, 3)
    },
    "up_sampling1d": [of(1, pooling("interpolate", scale_factor=3), size=3)],
    "up_sampling2d": [
        of(2, pooling("interpolate", scale_factor=2)),
        of(2, pooling("interpolate", scale_factor=(3, 1)), size=[3, 1]),
    ],
    "up_sampling3d": [of(3, pooling("interpolate", scale_factor=(1, 2, 3)), size=[1, 2, 3])],
    "zero_padding1d": [
        of(1, pooling("pad", pad=(1, 1))), of(1, pooling("pad", pad=(2, 0)), padding=[2, 0]),
    ],
    "zero_padding2d": [
        of(2, pooling("pad", pad=(2, 0, 1, 1)), padding=[1, [2, 0]]),
        of(2, pooling("pad", pad=(2,) * 4), padding=2),
    ],
    "zero_padding3d": [of(3, pooling("pad", pad=(2, 0, 1, 1, 0, 1)), padding=[[0, 1], 1, [2, 0]])],
    "cropping1d": [
        of(1, pooling("pad", pad=(-1, -1))), of(1, pooling("pad", pad=(-2, 0)), crop=[2, 0]),
    ],
    "cropping2d": [of(2, pooling("pad", pad=(-2, 0, -1, -1)), crop=[1, [2, 0]])],
    "cropping3d": [of(3, pooling("pad", pad=(0, -1, -1, -1, -2, 0)), crop=[[2, 0], 1, [0, 1]])],
    "reshape": [
        of(1, method("unflatten", 2, (2, 2)), shape=[9, 2, 2]),
        of(2, method("flatten", 1, 2), shape=[-1, 4]),
    ],
    "permute": [
        of(1, method("permute", 0, 2, 1), axes=[2, 1]),
        of(3, method("permute", 0, 4, 1, 3, 2), axes=[4, 1, 3, 2]),
    ],
    "repeat_vector": [of(0, repeated(5), times=5)],
}  # fmt: skip


def tuples(value):
    return tuple(map(tuples, value)) if isinstance(value, list) else value


FAMILIES = (
    "convolution",
    "transposed_convolution",
    "depthwise_convolution",
    "pooling",
    "global_pooling",
    "adaptive_pooling",
    "shapes",
)


def test_every_layer_of_these_families_is_compared():
    require_all("layer", CASES, FAMILIES)


@pytest.mark.parametrize(
    ("name", "number"), [(name, k) for name, cases in CASES.items() for k in range(len(cases))]
)
def test_a_layer_has_the_outputs_and_the_gradients_of_pytorch(torch, name, number):
    dims, options, compute = CASES[name][number]
    options = {k: tuples(v) for k, v in options.items()}
    layer = installed().find("layer", name).cls(**options)
    compare_layer(torch, layer, [INPUTS[dims]], lambda xs, p: compute(torch, *xs, p), peer=compute)
