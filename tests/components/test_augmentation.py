"""Layers that change images at random: what they do in training, and what they refuse."""

import numpy as np
import pytest

import nnreg
from nnreg import SpecError
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

IMAGES = np.random.default_rng(0).normal(size=(40, 6, 5, 2))
LAYERS = [
    RandomContrast(0.5),
    RandomFlip(),
    RandomRotation(0.2),
    RandomTranslation(0.3, (0.0, 0.4)),
    RandomZoom(0.4),
]
MODES = {"constant": "constant", "reflect": "reflect", "edge": "edge", "circular": "wrap"}


def changed(layer, x=IMAGES, **options):
    return Pass(LayerCase(layer, x), **options).run()[0]


@pytest.mark.parametrize("layer", LAYERS)
def test_images_change_in_training_alone(layer):
    assert np.array_equal(changed(layer, training=False), IMAGES)
    y = changed(layer)
    differ = np.abs(y - IMAGES).max(axis=(1, 2, 3)) > 1e-3
    assert 20 < differ.sum() <= 40
    if not isinstance(layer, RandomFlip):
        differences = {round(float(one), 9) for one in np.abs(y - IMAGES).sum(axis=(1, 2, 3))}
        assert len(differences) > 30  # each image has a draw of its own


@pytest.mark.parametrize("layer", [*LAYERS, RandomCrop(4, 3)])
def test_images_without_channels_are_those_of_one_channel(layer):
    single = IMAGES[..., 0]
    assert np.array_equal(changed(layer, single), changed(layer, single[..., None])[..., 0])


@pytest.mark.parametrize("layer", [*LAYERS, RandomCrop(4, 3)])
def test_all_channels_of_an_image_change_alike(layer):
    same = np.repeat(IMAGES[..., :1], 3, axis=-1)
    y = changed(layer, same)
    assert np.array_equal(y[..., 0], y[..., 2])


def test_a_crop_is_in_the_centre_in_evaluation_and_anywhere_in_training():
    layer = RandomCrop(3, 2)
    assert np.array_equal(changed(layer, training=False), IMAGES[:, 1:4, 1:3])
    places = np.lib.stride_tricks.sliding_window_view(IMAGES, (3, 2), (1, 2))
    places = places.transpose(0, 1, 2, 4, 5, 3).reshape(40, 16, 3, 2, 2)
    y = changed(layer)
    found = [
        np.flatnonzero((p == one).all(axis=(1, 2, 3))) for p, one in zip(places, y, strict=True)
    ]
    assert all(len(one) == 1 for one in found)
    assert len({int(one[0]) for one in found}) > 10


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("horizontal", [(1, 1), (1, -1)]),
        ("vertical", [(1, 1), (-1, 1)]),
        ("horizontal_and_vertical", [(1, 1), (1, -1), (-1, 1), (-1, -1)]),
    ],
)
def test_a_flip_mirrors_about_half_of_the_images_in_each_direction(mode, expected):
    y, counts = changed(RandomFlip(mode)), dict.fromkeys(expected, 0)
    for one, x in zip(y, IMAGES, strict=True):
        (found,) = [step for step in expected if np.array_equal(one, x[:: step[0], :: step[1]])]
        counts[found] += 1
    assert min(counts.values()) > 20 / len(expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_a_shift_by_whole_pixels_reads_the_values_of_numpys_pad(mode, interpolation):
    layer = RandomTranslation((0.5, 0.5), (-0.4, -0.4), mode, interpolation)
    around = np.pad(IMAGES, [(0, 0), (3, 0), (0, 2), (0, 0)], MODES[mode])
    np.testing.assert_allclose(changed(layer), around[:, :6, 2:], atol=1e-12)


def test_the_fill_value_is_outside_and_mixes_at_the_edge():
    layer = RandomTranslation((0.25, 0.25), (0.0, 0.0), "constant", "bilinear", 7.0)
    y = changed(layer)
    np.testing.assert_allclose(y[:, 0], 7)
    np.testing.assert_allclose(y[:, 1], (7 + IMAGES[:, 0]) / 2)


@pytest.mark.parametrize("mode", MODES)
def test_a_single_row_or_column_can_be_moved(mode):
    for x in (IMAGES[:, :1], IMAGES[:, :, :1]):
        y = changed(RandomRotation(0.5, mode), x)
        assert np.isfinite(y).all()
        assert y.shape == x.shape


def test_a_quarter_turn_is_counter_clockwise():
    square = IMAGES[:, :5]
    turned = np.rot90(square, axes=(1, 2))
    np.testing.assert_allclose(changed(RandomRotation((0.25, 0.25)), square), turned, atol=1e-12)


def test_the_nearest_value_does_not_depend_on_the_precision():
    layer = RandomRotation(1.0, interpolation="nearest")
    y = changed(layer, IMAGES.astype(np.float32), dtype=np.float32)
    assert np.array_equal(y, changed(layer).astype(np.float32))


def test_the_mean_of_each_channel_keeps_with_another_contrast():
    y = changed(RandomContrast(0.9))
    np.testing.assert_allclose(y.mean(axis=(1, 2)), IMAGES.mean(axis=(1, 2)), atol=1e-12)
    contrast = y.std(axis=(1, 2)) / IMAGES.std(axis=(1, 2))
    np.testing.assert_allclose(contrast[:, 0], contrast[:, 1])
    assert contrast.min() < 0.4 < 1.6 < contrast.max()


def spec(*layers, **train):
    last = [{"type": "flatten"}, {"type": "dense", "units": 1}]
    return {
        "model": {"layers": [*layers, *last]},
        "loss": "mean_squared_error",
        "optimizer": "sgd",
        "train": {"epochs": 2, "batch_size": 16, **train},
    }


REFUSED = [
    ({"type": "random_crop", "height": 7, "width": 2}, "images of at least 7 x 2"),
    ({"type": "random_rotation", "factor": [0.2, 0.1]}, "the first must be at most the second"),
    ({"type": "random_rotation", "factor": 1.5}, "factor"),
    ({"type": "random_translation", "height_factor": 0.1}, "width_factor"),
    ({"type": "random_zoom", "height_factor": [-1.0, 0.0]}, "height_factor"),
    ({"type": "random_zoom", "height_factor": 0.1, "fill_mode": "wrap"}, "fill_mode"),
    ({"type": "random_flip", "mode": "both"}, "mode"),
    ({"type": "random_contrast", "factor": -0.1}, "factor"),
]


@pytest.mark.parametrize(("layer", "problem"), REFUSED)
def test_what_does_not_fit_is_refused_with_the_reason(layer, problem):
    with pytest.raises(SpecError) as error:
        nnreg.build(spec(layer), data=(IMAGES, np.arange(40.0)))
    assert problem in str(error.value)


@pytest.mark.parametrize("layer", [*LAYERS, RandomCrop(2, 2)])
@pytest.mark.parametrize("shape", [(4,), (3, 4, 5, 2)])
def test_what_is_not_an_image_is_refused(layer, shape):
    with pytest.raises(SpecError, match=r"\(batch, height, width, channels\)"):
        changed(layer, np.zeros((2, *shape)))


@pytest.mark.parametrize("shards", [1, 3])
def test_training_has_the_same_bits_on_any_number_of_threads(shards):
    layers = [
        {"type": "random_flip"},
        {"type": "random_rotation", "factor": 0.1},
        {"type": "random_crop", "height": 4, "width": 4},
    ]
    found = []
    for threads in (1, 3):
        model = nnreg.build(
            spec(*layers, shards=shards, threads=threads), data=(IMAGES, np.arange(40.0))
        )
        model.fit(IMAGES, np.arange(40.0))
        found.append(model.network.vector.tobytes())
    assert found[0] == found[1]


def test_every_layer_of_the_family_is_tested_here():
    family = {
        cls
        for cls in vars(augmentation).values()
        if isinstance(cls, type) and cls.__module__ == augmentation.__name__
    }
    shared = {augmentation.RandomImages, augmentation.RandomAffine}
    assert family - shared == {type(layer) for layer in LAYERS} | {RandomCrop}
