"""Configurations of norms, noise, bilinear forms and layers of an equation, with small inputs."""

from hypothesis import strategies as st

from nnreg.builtin.layers import (
    bilinear,
    dense,
    einsum_dense,
    group_normalization,
    maxout,
    noise,
    rescaling,
    row_normalization,
    spectral_norm,
)
from nnreg.testing import configurations

SMALL = st.integers(1, 3)
EPSILON = st.floats(1e-3, 1)


def of(cls, *shapes, **options):
    return st.tuples(configurations(cls, **options), st.sampled_from(shapes))


NORMS_AND_NOISE = {
    "group_norm": of(group_normalization.GroupNorm, (4,), (3, 4), (2, 2, 4),
                     groups=st.sampled_from([1, 2]), epsilon=EPSILON),
    "instance_norm": of(group_normalization.InstanceNorm, (3, 2), (2, 2, 3), epsilon=EPSILON),
    "rms_norm": of(row_normalization.RmsNorm, (3,), (2, 4), epsilon=EPSILON),
    "unit_norm": of(row_normalization.UnitNorm, (3,), (2, 4)),
    "spectral_norm": of(spectral_norm.SpectralNorm, (3,), (2, 3), layer=st.just(dense.Dense(2))),
    "alpha_dropout": of(noise.AlphaDropout, (6,), (2, 3)),
    "gaussian_dropout": of(noise.GaussianDropout, (6,), (2, 3)),
    "gaussian_noise": of(noise.GaussianNoise, (6,), (2, 3)),
    "spatial_dropout1d": of(noise.SpatialDropout1d, (2, 3)),
    "spatial_dropout2d": of(noise.SpatialDropout2d, (2, 1, 3)),
    "spatial_dropout3d": of(noise.SpatialDropout3d, (2, 1, 2, 2)),
    "einsum_dense": st.sampled_from(list(einsum_dense.EinsumDense.examples())),
    "maxout": of(maxout.Maxout, (3,), (2, 3), units=SMALL, pieces=st.integers(2, 3)),
    "bilinear": of(bilinear.Bilinear, ((3,), (2,)), ((2, 3), (2, 1)), units=SMALL),
    "rescaling": of(rescaling.Rescaling, (3,), (2, 3)),
}  # fmt: skip
