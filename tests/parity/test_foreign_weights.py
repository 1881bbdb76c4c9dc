"""Files of weights that PyTorch and Keras write: the networks give the answers of the originals."""

import numpy as np
import pytest

import nnreg
from nnreg.errors import CheckpointError, NnregWarning
from nnreg.weights.files import read_foreign

pytestmark = pytest.mark.verify

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(7, 6)).astype(np.float32)
IMAGES = RNG.normal(size=(7, 8, 8, 3)).astype(np.float32)
SEQUENCES = RNG.normal(size=(7, 5, 8)).astype(np.float32)
WORDS = RNG.integers(0, 10, (7, 5))


def dense(units, **options):
    return {"type": "dense", "units": units, **options}


def norm(kind, **options):
    return {"type": kind, **options}


HEAD = [{"type": "flatten"}, dense(2)]


def model_of(layers, x, shape=(2,)):
    spec = {"model": {"layers": layers}, "loss": "mean_squared_error", "optimizer": "adam"}
    return nnreg.build(spec, data=(x, np.zeros((len(x), *shape), np.float32)))


def compare(model, x, expected):
    found = model.network.predict(x)  # without the scaling of the data
    scale = max(1.0, np.abs(expected).max())
    assert np.abs(found - expected).max() / scale < 1e-5


# -- PyTorch ------------------------------------------------------------------------------------


def recurrent(nn, kind, **options):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = getattr(nn, kind)(8, 4, batch_first=True, num_layers=2, **options)
            self.out = nn.Linear(8 if options.get("bidirectional") else 4, 2)

        def forward(self, x):
            return self.out(self.rnn(x)[0].mean(1))

    return Last()


def layers_of(kind, **options):
    return [
        {"type": kind, "units": 4, "sequences": True, **options},
        {"type": kind, "units": 4, "sequences": True, **options},
        {"type": "global_average_pool"},
        dense(2),
    ]


def both(kind):
    layer = {"type": kind, "units": 4, "sequences": True}
    return [
        {"type": "bidirectional", "layer": layer},
        {"type": "bidirectional", "layer": layer},
        {"type": "global_average_pool"},
        dense(2),
    ]


def mlp(nn):
    return nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 2))


class Channels:
    """A convolutional network of PyTorch, which has the channels first."""

    def __init__(self, nn):
        self.net = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2),
            nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(3, 2),
        )  # fmt: skip

    def __getattr__(self, name):
        return getattr(self.net, name)

    def __call__(self, x):
        return self.net(x.permute(0, 3, 1, 2))


CNN = [
    {"type": "conv2d", "filters": 4},
    norm("batch_norm"),
    {"type": "activation", "activation": "relu"},
    {"type": "conv2d", "filters": 4, "groups": 2},
    norm("batch_norm"),
    {"type": "conv2d_transpose", "filters": 3, "kernel": 2},
    {"type": "global_average_pool"},
    dense(2),
]


def transformer(nn):
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
            self.encoder = nn.TransformerEncoder(layer, 2)
            self.out = nn.Linear(40, 2)

        def forward(self, x):
            return self.out(self.encoder(x).flatten(1))

    return Encoder()


ENCODER = {"type": "transformer_encoder", "heads": 2, "hidden_units": 16, "dropout": 0.0,
           "activation": "relu"}  # fmt: skip


def words(nn):
    return nn.Sequential(
        nn.Embedding(10, 8), nn.LayerNorm(8), nn.Flatten(), nn.Linear(40, 4), nn.GroupNorm(2, 4),
        nn.Linear(4, 2),
    )  # fmt: skip


PYTORCH = {
    "mlp": (mlp, [dense(6, activation="relu"), dense(6, activation="tanh"), dense(2)], TABLE),
    "cnn": (Channels, CNN, IMAGES),
    "rnn": (lambda nn: recurrent(nn, "RNN"), layers_of("simple_rnn"), SEQUENCES),
    "lstm": (lambda nn: recurrent(nn, "LSTM"), layers_of("lstm"), SEQUENCES),
    "gru": (lambda nn: recurrent(nn, "GRU"), layers_of("gru"), SEQUENCES),
    "both": (lambda nn: recurrent(nn, "LSTM", bidirectional=True), both("lstm"), SEQUENCES),
    "transformer": (transformer, [ENCODER, ENCODER, *HEAD], SEQUENCES),
    "embedding": (
        words,
        [{"type": "embedding", "vocabulary": 10, "units": 8}, norm("layer_norm"),
         {"type": "flatten"}, dense(4), norm("group_norm", groups=2), dense(2)],
        WORDS,
    ),
}  # fmt: skip
NAMES = {
    "lstm": {"layers/0": "rnn.0"},  # the first of the two has another shape
    "embedding": {"layers/1": "1", "layers/4": "4"},
}


@pytest.mark.parametrize("name", PYTORCH)
def test_a_state_dict_of_pytorch_gives_the_same_outputs(torch, peer, tmp_path, name):
    make, layers, x = PYTORCH[name]
    torch.manual_seed(0)
    theirs = make(torch.nn)
    with torch.no_grad():
        for values in theirs.state_dict().values():
            if values.is_floating_point():
                values.copy_(torch.rand_like(values) + 0.1 if values.min() >= 0.5
                             else torch.randn_like(values) * 0.5)  # fmt: skip
    theirs.eval()
    path = tmp_path / "model.safetensors"
    peer("safetensors.torch").save_file(theirs.state_dict(), path)
    model = model_of(layers, x)
    found = nnreg.load_weights(model, path, NAMES.get(name))
    assert found.keys() == {**model.parameters, **model.buffers}.keys()
    with torch.no_grad():
        compare(model, x, theirs(torch.tensor(x)).numpy())


# -- Keras --------------------------------------------------------------------------------------


def keras_cnn(layers):
    return [
        layers.Conv2D(4, 3), layers.BatchNormalization(epsilon=1e-5), layers.ReLU(),
        layers.Conv2D(4, 3, groups=2), layers.BatchNormalization(epsilon=1e-5),
        layers.Conv2DTranspose(3, 2), layers.DepthwiseConv2D(2, depth_multiplier=2),
        layers.GlobalAveragePooling2D(), layers.Dense(2),
    ]  # fmt: skip


def keras_recurrent(kind, both=False, **options):
    def make(layers):
        one = [getattr(layers, kind)(4, return_sequences=True, **options) for _ in range(2)]
        if both:
            one = [layers.Bidirectional(layer) for layer in one]
        return [*one, layers.GlobalAveragePooling1D(), layers.Dense(2)]

    return make


def keras_attention(layers):
    return [Attention(layers), layers.LayerNormalization(epsilon=1e-5), layers.Flatten(),
            layers.Dense(2)]  # fmt: skip


class Attention:
    """Self-attention of Keras as a layer of a chain."""

    def __init__(self, layers):
        self.layer = layers.MultiHeadAttention(2, 4)

    def __call__(self, x):
        return self.layer(x, x)


KERAS = {
    "mlp": (
        lambda layers: [layers.Dense(6, activation="relu"), layers.Dense(6), layers.Dense(2)],
        [dense(6, activation="relu"), dense(6), dense(2)],
        TABLE,
    ),
    "cnn": (
        keras_cnn,
        [*CNN[:6], {"type": "depthwise_conv2d", "kernel": 2, "multiplier": 2}, *CNN[6:]],
        IMAGES,
    ),
    "rnn": (keras_recurrent("SimpleRNN"), layers_of("simple_rnn"), SEQUENCES),
    "lstm": (keras_recurrent("LSTM"), layers_of("lstm"), SEQUENCES),
    "gru": (keras_recurrent("GRU"), layers_of("gru"), SEQUENCES),
    "gru before": (
        keras_recurrent("GRU", reset_after=False),
        layers_of("gru", reset_after=False),
        SEQUENCES,
    ),
    "both": (keras_recurrent("LSTM", both=True), both("lstm"), SEQUENCES),
    "attention": (
        keras_attention,
        [{"type": "multi_head_attention", "heads": 2}, norm("layer_norm"), *HEAD],
        SEQUENCES,
    ),
    "embedding": (
        lambda layers: [layers.Embedding(10, 8), layers.Flatten(), layers.Dense(2)],
        [{"type": "embedding", "vocabulary": 10, "units": 8}, *HEAD],
        WORDS,
    ),
}


@pytest.fixture(params=KERAS)
def of_keras(request, keras):
    make, layers, x = KERAS[request.param]
    keras.utils.set_random_seed(0)
    inputs = y = keras.Input(x.shape[1:], dtype=x.dtype.name)
    for layer in make(keras.layers):
        y = layer(y)
    theirs = keras.Model(inputs, y)
    draw = np.random.default_rng(0)
    theirs.set_weights([
        draw.uniform(0.5, 1.5, w.shape) if w.ndim == 1 else draw.normal(0, 0.5, w.shape)
        for w in theirs.get_weights()
    ])  # fmt: skip
    theirs.compile("adam", "mse")
    return theirs, layers, x


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
def test_weights_of_keras_give_the_same_outputs(of_keras, tmp_path):
    theirs, layers, x = of_keras
    theirs.save(tmp_path / "model.keras")
    theirs.save_weights(tmp_path / "model.weights.h5")
    expected = np.asarray(theirs.predict(x, verbose=0))
    for file in ("model.keras", "model.weights.h5"):
        model = model_of(layers, x)
        nnreg.load_weights(model, tmp_path / file)
        compare(model, x, expected)


# -- the format ---------------------------------------------------------------------------------


def test_the_official_library_reads_what_export_writes(peer, tmp_path):
    model = model_of(PYTORCH["cnn"][1], IMAGES)
    nnreg.export(model, tmp_path / "model.safetensors")
    safe = peer("safetensors.numpy")
    found = safe.load_file(tmp_path / "model.safetensors")
    expected = {**model.parameters, **model.buffers}
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    with peer("safetensors").safe_open(tmp_path / "model.safetensors", "np") as file:
        assert file.metadata()["format"] == "nnreg"


def test_bfloat16_is_read(torch, peer, tmp_path):
    values = torch.randn(3, 4).to(torch.bfloat16)
    peer("safetensors.torch").save_file({"weight": values}, tmp_path / "one.safetensors")
    found = read_foreign(tmp_path / "one.safetensors").arrays["weight"]
    np.testing.assert_array_equal(found, values.float().numpy())


def test_layers_of_the_same_shapes_and_other_names_are_not_guessed(torch, peer, tmp_path):
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = torch.nn.Linear(6, 6), torch.nn.Linear(6, 6)
            self.extra = torch.nn.Linear(3, 3)

        def forward(self, x):
            return self.decoder(self.encoder(x))

    theirs, path = Two(), tmp_path / "two.safetensors"
    peer("safetensors.torch").save_file(theirs.state_dict(), path)
    model = model_of([dense(6), dense(6)], TABLE, (6,))
    before = model.network.vector.copy()
    with pytest.raises(CheckpointError, match=r"encoder.* in an order that their names do not say"):
        nnreg.load_weights(model, path)
    np.testing.assert_array_equal(model.network.vector, before)
    with pytest.warns(NnregWarning, match=r"no layer takes extra\.bias, extra\.weight"):
        nnreg.load_weights(model, path, {"layers/0": "encoder"})
    with torch.no_grad():
        compare(model, TABLE, theirs(torch.tensor(TABLE)).numpy())
