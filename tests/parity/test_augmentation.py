"""Images at random beside PyTorch's grid_sample and Keras's affine transform, given the draws."""

import numpy as np
import pytest

from nnreg.builtin.augmentations import Cutmix, Mixup
from nnreg.builtin.layers import augmentation
from nnreg.builtin.layers.augmentation import (
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
)
from nnreg.testing.layer_pass import LayerCase, Pass
from tests.parity.comparison import FORMULA, compare, require_all
from tests.parity.layers import compare_layer

pytestmark = pytest.mark.verify

COUNT, HEIGHT, WIDTH = SHAPE = 5, 7, 6
IMAGES = np.random.default_rng(0).normal(size=(*SHAPE, 3))
TARGETS = np.eye(4)[np.random.default_rng(1).integers(0, 4, COUNT)]
TORCH_MODES = {"constant": "zeros", "reflect": "reflection", "edge": "border"}
KERAS_MODES = {"constant": "constant", "reflect": "mirror", "edge": "nearest"}
"""Keras's "reflect" repeats the edge. `grid_sample` has no "circular"; Keras's "wrap" is missing
with PyTorch."""


def uniform(rng, low, high):
    return low + (high - low) * rng.random(COUNT)


def rotation(rng, layer):
    """Return where to read, as (row, column) from the centre, for each row and column."""
    angle = 2 * np.pi * uniform(rng, *layer.factor)
    zero = np.zeros(COUNT)
    return [[np.cos(angle), np.sin(angle), zero], [-np.sin(angle), np.cos(angle), zero]]


def translation(rng, layer):
    down = HEIGHT * uniform(rng, *layer.height_factor)
    right = WIDTH * uniform(rng, *layer.width_factor)
    one, zero = np.ones(COUNT), np.zeros(COUNT)
    return [[one, zero, -down], [zero, one, -right]]


def zoom(rng, layer):
    rows = 1 + uniform(rng, *layer.height_factor)
    columns = rows if layer.width_factor is None else 1 + uniform(rng, *layer.width_factor)
    zero = np.zeros(COUNT)
    return [[rows, zero, zero], [zero, columns, zero]]


CASES = [
    *((RandomRotation((-0.3, 0.4), mode, how, fill), rotation)
      for mode, fill in (("constant", 0.0), ("constant", 2.5), ("reflect", 0.0), ("edge", 0.0))
      for how in ("bilinear", "nearest")),
    *((RandomTranslation((-0.4, 0.2), (0.1, 0.5), mode, how), translation)
      for mode in TORCH_MODES for how in ("bilinear", "nearest")),
    *((RandomZoom((-0.4, 0.9), width, mode, how), zoom)
      for width in (None, (-0.3, 0.8)) for mode in TORCH_MODES
      for how in ("bilinear", "nearest")),
]  # fmt: skip


def compare_images(torch, layer, peer, expected):
    """Compare the output and the gradient with those of a function in PyTorch."""
    compare_layer(torch, layer, [IMAGES], lambda xs, p: expected(*xs), peer=peer)


@pytest.mark.parametrize(("layer", "matrices"), CASES)
def test_images_are_read_as_by_pytorch(torch, layer, matrices):
    (a, b, s), (c, d, t) = matrices(np.random.default_rng(5), layer)
    high, wide = (HEIGHT - 1) / 2, (WIDTH - 1) / 2
    theta = np.array([[d, c * high / wide, t / wide], [b * wide / high, a, s / high]])
    functional = torch.nn.functional

    def expected(x):
        grid = functional.affine_grid(
            torch.tensor(theta.transpose(2, 0, 1)), (COUNT, 3, HEIGHT, WIDTH), align_corners=True
        )
        y = functional.grid_sample(
            x.movedim(-1, 1) - layer.fill_value, grid, layer.interpolation,
            TORCH_MODES[layer.fill_mode], align_corners=True,
        )  # fmt: skip
        return y.movedim(1, -1) + layer.fill_value

    compare_images(torch, layer, "torch.nn.functional.grid_sample", expected)


@pytest.mark.parametrize(("layer", "matrices"), CASES)
def test_images_are_read_as_by_keras(keras, torch, layer, matrices):
    (a, b, s), (c, d, t) = matrices(np.random.default_rng(5), layer)
    high, wide, zero = (HEIGHT - 1) / 2, (WIDTH - 1) / 2, np.zeros(COUNT)
    right, down = wide + t - c * high - d * wide, high + s - a * high - b * wide
    transform = np.stack([d, c, right, b, a, down, zero, zero], axis=1)

    def expected(x):
        return keras.ops.image.affine_transform(
            x, torch.tensor(transform), layer.interpolation,
            KERAS_MODES.get(layer.fill_mode), layer.fill_value, data_format="channels_last",
        )  # fmt: skip

    compare_images(torch, layer, "keras.ops.image.affine_transform", expected)


def test_the_other_side_is_read_as_from_a_tiled_image(torch):
    layer = RandomTranslation((-0.6, 0.6), (-0.6, 0.6), "circular")
    (_, _, s), (_, _, t) = translation(np.random.default_rng(5), layer)
    functional = torch.nn.functional

    def expected(x):
        tiled = functional.pad(x.movedim(-1, 1), (WIDTH, WIDTH, HEIGHT, HEIGHT), mode="circular")
        rows = torch.arange(HEIGHT) + HEIGHT + torch.tensor(s)[:, None]
        columns = torch.arange(WIDTH) + WIDTH + torch.tensor(t)[:, None]
        grid = torch.stack(
            [
                (2 * columns / (3 * WIDTH - 1) - 1)[:, None].expand(-1, HEIGHT, -1),
                (2 * rows / (3 * HEIGHT - 1) - 1)[:, :, None].expand(-1, -1, WIDTH),
            ],
            dim=-1,
        )
        return functional.grid_sample(tiled, grid, align_corners=True).movedim(1, -1)

    compare_images(torch, layer, "torch.nn.functional.grid_sample", expected)


def test_angles_zooms_and_shifts_have_the_meaning_of_keras(keras, torch):
    """Keras computes these matrices in float32, and draws other numbers: ends are the same."""
    layers = keras.layers
    pairs = [
        (RandomRotation((0.1, 0.1)), layers.RandomRotation((0.1, 0.1), "reflect")),
        (RandomTranslation((0.2, 0.2), (-0.3, -0.3)),
         layers.RandomTranslation((0.2, 0.2), (-0.3, -0.3), "reflect")),
        (RandomZoom((-0.3, -0.3), (0.4, 0.4)),
         layers.RandomZoom((-0.3, -0.3), (0.4, 0.4), "reflect")),
        (RandomZoom((0.4, 0.4)), layers.RandomZoom((0.4, 0.4), None, "reflect")),
    ]  # fmt: skip
    for layer, peer in pairs:
        peer.fill_mode = "mirror"
        # Not by calling the layer, which would import TensorFlow to ask whether it is in a graph.
        expected = peer.call(torch.tensor(IMAGES), training=True).numpy()
        y, _ = Pass(LayerCase(layer, IMAGES)).run()
        np.testing.assert_allclose(y, expected, atol=1e-5, err_msg=str(layer))


def test_the_contrast_is_that_of_keras(keras, torch):
    layer = RandomContrast((0.3, 0.6))
    contrast = uniform(np.random.default_rng(5), 0.7, 1.6).reshape(-1, 1, 1, 1)
    peer = keras.layers.RandomContrast((0.3, 0.6), value_range=(-100, 100))
    drawn = {"contrast_factor": torch.tensor(contrast)}
    compare_images(
        torch, layer, "keras.layers.RandomContrast", lambda x: peer.transform_images(x, drawn)
    )


def test_flips_are_those_of_pytorch(torch):
    rng = np.random.default_rng(5)
    vertical, horizontal = (torch.tensor(rng.random(COUNT) < 0.5) for _ in range(2))

    def expected(x):
        x = torch.where(vertical[:, None, None, None], x.flip(1), x)
        return torch.where(horizontal[:, None, None, None], x.flip(2), x)

    compare_images(torch, RandomFlip(), "torch.flip", expected)


def test_a_crop_is_a_slice(torch):
    rng = np.random.default_rng(5)
    top, left = rng.integers(0, HEIGHT - 3, COUNT), rng.integers(0, WIDTH - 1, COUNT)

    def expected(x):
        places = zip(x, top, left, strict=True)
        return torch.stack([one[i : i + 4, j : j + 2] for one, i, j in places])

    compare_images(torch, RandomCrop(4, 2), FORMULA, expected)


def test_every_layer_of_the_family_is_compared():
    family = {
        cls
        for cls in vars(augmentation).values()
        if isinstance(cls, type) and cls.__module__ == augmentation.__name__
    }
    shared = {augmentation.RandomImages, augmentation.RandomAffine}
    alone = {RandomContrast, RandomCrop, RandomFlip}
    assert family - shared == {type(layer) for layer, _ in CASES} | alone


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_mixed_rows_are_those_of_keras_given_the_draws(keras, torch, share):
    rng = np.random.default_rng(5)
    drawn = rng.beta(share, share, COUNT)
    mixture = {
        "mix_weight": np.maximum(drawn, 1 - drawn),
        "permutation_order": rng.permutation(COUNT),
    }
    compare_rows(torch, Mixup(share), keras.layers.MixUp(), mixture)


def test_images_with_a_box_of_another_are_those_of_keras_given_the_boxes(keras, torch):
    """The boxes are those that ours shows by a second image of other values."""
    marked = np.broadcast_to(np.arange(COUNT)[:, None, None, None], (COUNT, HEIGHT, WIDTH, 1))
    order = np.random.default_rng(5)
    order.beta(1.0, 1.0, COUNT)
    partner = order.permutation(COUNT)
    shown, _ = Cutmix().augment(marked, TARGETS, np.random.default_rng(5))
    boxes = shown != marked
    mixture = {
        "mix_weight": 1 - boxes.mean(axis=(1, 2, 3)),
        "batch_masks": boxes,
        "permutation_order": partner,
    }
    assert boxes.any()
    compare_rows(torch, Cutmix(), keras.layers.CutMix(), mixture)


def compare_rows(torch, augmentation, peer, drawn):
    """Compare images and targets with those of a layer of Keras that is given what it draws."""
    found = augmentation.augment(IMAGES, TARGETS, np.random.default_rng(5))
    drawn = {name: torch.tensor(values) for name, values in drawn.items()}
    images = peer.transform_images(torch.tensor(IMAGES), drawn)
    expected = [images, peer.transform_labels(torch.tensor(TARGETS), drawn)]
    name = f"keras.layers.{type(peer).__name__}"
    compare(augmentation, name, list(zip(found, expected, strict=True)))


def test_every_augmentation_is_compared():
    require_all("augmentation", {"mixup", "cutmix"})
