"""Configurations of convolutions, pooling and layers that change shapes, with fitting inputs."""

from hypothesis import strategies as st

from nnreg.builtin.activations import Identity, Tanh
from nnreg.builtin.layers import (
    adaptive_pooling,
    convolution,
    depthwise_convolution,
    global_pooling,
    pooling,
    shapes,
    transposed_convolution,
)
from nnreg.testing import configurations

SMALL = st.integers(1, 3)
SPACES = {1: (7,), 2: (5, 6), 3: (5, 3, 4)}
"""Long enough for the windows and the frames that are drawn."""


def sizes(dims, largest=3):
    """Return one number, or one for each axis."""
    number = st.integers(1, largest)
    return number if dims == 1 else st.one_of(number, st.tuples(*[number] * dims))


def padding(dims, *words):
    return st.one_of(st.sampled_from(["valid", "same", *words]), st.integers(0, 2))


def convolution_options(dims):
    """Return options whose windows fit into `SPACES`."""
    largest = 3 if dims < 3 else 2
    return {
        "kernel": sizes(dims, largest),
        "stride": sizes(dims),
        "dilation": sizes(dims, 3 if dims == 1 else 2),
        "padding": padding(dims, *["causal"] * (dims == 1)),
        "activation": st.sampled_from([Identity(), Tanh()]),
    }


def convolutions(cls, dims):
    return st.tuples(
        configurations(
            cls,
            filters=st.sampled_from([2, 4]),
            groups=st.sampled_from([1, 2]),
            **convolution_options(dims),
        ),
        st.just((*SPACES[dims], 2)),
    )


def without_channels(cls, dims):
    """Return configurations with an input without the axis of channels."""
    return st.tuples(
        configurations(cls, filters=SMALL, groups=st.just(1), **convolution_options(dims)),
        st.just(SPACES[dims]),
    )


def depthwise(cls, dims, **options):
    """Return configurations with an input with the axis of channels, or without."""
    options |= convolution_options(dims)
    channels = st.sampled_from([(*SPACES[dims], 2), SPACES[dims]])
    return st.tuples(configurations(cls, multiplier=st.integers(1, 2), **options), channels)


def transposed(cls, dims):
    """Return configurations with an input of a few values, some without the axis of channels."""
    options = convolution_options(dims) | {
        "filters": SMALL,
        "padding": st.one_of(st.sampled_from(["valid", "same"]), st.integers(0, 1)),
        "output_padding": st.integers(0, 1),
    }
    space = (3, 4, 3)[:dims]
    return st.tuples(configurations(cls, **options), st.sampled_from([(*space, 2), space]))


def pools(cls, dims):
    options = {
        "size": sizes(dims, 3 if dims < 3 else 2),
        "stride": st.one_of(st.none(), sizes(dims)),
        "padding": padding(dims),
    }
    return st.tuples(configurations(cls, **options), st.just((*SPACES[dims], 2)))


def with_space(cls, dims, **options):
    """Return configurations with an input of this number of spatial axes."""
    return st.tuples(configurations(cls, **options), st.just((*SPACES[dims], 2)))


def ends(dims, largest):
    """Return one number, or one or two for each axis."""
    number = st.integers(0, largest)
    one = st.one_of(number, st.tuples(number, number))
    return one if dims == 1 else st.one_of(number, st.tuples(*[one] * dims))


WINDOWED = {
    **{
        f"conv{dims}d": st.one_of(convolutions(cls, dims), without_channels(cls, dims))
        for dims, cls in (
            (1, convolution.Conv1d),
            (2, convolution.Conv2d),
            (3, convolution.Conv3d),
        )
    },
    **{
        f"conv{dims}d_transpose": transposed(
            getattr(transposed_convolution, f"Conv{dims}dTranspose"), dims
        )
        for dims in SPACES
    },
    "depthwise_conv1d": depthwise(depthwise_convolution.DepthwiseConv1d, 1),
    "depthwise_conv2d": depthwise(depthwise_convolution.DepthwiseConv2d, 2),
    "separable_conv1d": depthwise(depthwise_convolution.SeparableConv1d, 1, filters=SMALL),
    "separable_conv2d": depthwise(depthwise_convolution.SeparableConv2d, 2, filters=SMALL),
    **{
        f"{name}_pool{dims}d": pools(getattr(pooling, f"{name.title()}Pool{dims}d"), dims)
        for name in ("max", "average")
        for dims in SPACES
    },
    **{
        f"global_{name}_pool{dims}d": with_space(
            getattr(global_pooling, f"Global{name.title()}Pool{dims}d"), dims
        )
        for name in ("max", "average")
        for dims in SPACES
    },
    **{
        f"adaptive_{name}_pool{dims}d": with_space(
            getattr(adaptive_pooling, f"Adaptive{name.title()}Pool{dims}d"),
            dims,
            output_size=sizes(dims, 4),
        )
        for name in ("max", "average")
        for dims in SPACES
    },
    **{
        f"up_sampling{dims}d": with_space(
            getattr(shapes, f"UpSampling{dims}d"), dims, size=sizes(dims)
        )
        for dims in SPACES
    },
    **{
        f"zero_padding{dims}d": with_space(
            getattr(shapes, f"ZeroPadding{dims}d"), dims, padding=ends(dims, 2)
        )
        for dims in SPACES
    },
    **{
        f"cropping{dims}d": with_space(
            getattr(shapes, f"Cropping{dims}d"), dims, crop=ends(dims, 1)
        )
        for dims in SPACES
    },
    "reshape": st.sampled_from(shapes.Reshape.examples()),
    "permute": st.sampled_from(shapes.Permute.examples()),
    "repeat_vector": st.tuples(configurations(shapes.RepeatVector), st.just((4,))),
}
