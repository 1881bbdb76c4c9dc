"""Attention and transformers beside PyTorch and Keras: values and gradients to 1e-10 in float64."""

import numpy as np
import pytest

from nnreg.builtin import activations
from nnreg.builtin.layers import embedding, transformer
from nnreg.interfaces import LayerBuilder, Workspace
from nnreg.interfaces.graph import EntryKeys
from nnreg.interfaces.layer import LayerEntry
from nnreg.network.network import Network
from nnreg.network.parameters import views
from nnreg.registry.registry import installed
from tests.parity.comparison import peer, require_all
from tests.parity.layers import compare_layer

pytestmark = pytest.mark.verify

ROWS, TIME, STEPS = 3, 5, 4
ONE, TWO, THREE = ((5, 6),), ((5, 6), (4, 6)), ((5, 6), (4, 6), (4, 3))
LENGTHS = {"0": np.array([5, 2, 1]), "1": np.array([1, 4, 3]), "2": np.array([4, 3, 3])}
"""Each input has a mask of its own. A row without a real key is NaN in PyTorch."""


class Peers:
    """What the functions of a case get: both libraries, and which steps of keys are real."""

    def __init__(self, torch, keras, real, queries):
        self.torch, self.keras = torch, keras
        self.functional = torch.nn.functional
        self.real = None if real is None else torch.tensor(real)
        self.queries = None if queries is None else torch.tensor(queries)

    def hidden(self, causal, time, steps):
        """Return an additive mask `(batch, 1, time, steps)`, as PyTorch's attention takes."""
        seen = self.torch.ones(ROWS, 1, time, steps, dtype=self.torch.bool)
        if causal:
            seen = seen.tril()
        return seen if self.real is None else seen & self.real[:, None, None]

    def padding(self):
        return None if self.real is None else ~self.real

    def later(self, causal, time):
        ones = self.torch.ones(time, time, dtype=self.torch.bool)
        return self.torch.triu(ones, 1) if causal else None

    def call(self, module, weights, *args, **options):
        return self.torch.func.functional_call(module.double(), weights, args, options)

    def keras_layer(self, layer, xs, weights, **options):
        """Return the output of a Keras layer with these weights, in its order."""
        layer.build(*[tuple(x.shape) for x in xs])
        shaped = [w.reshape(v.shape) for w, v in zip(weights, layer.variables, strict=True)]
        y, _ = layer.stateless_call(shaped, [], *xs, **options)
        return y


def dot_product(causal=False, scale=None):
    @peer("torch.nn.functional.scaled_dot_product_attention")
    def compute(peers, xs, p):
        q, k, v = (x[:, None] for x in (xs[0], xs[1], xs[-1]))
        hidden = peers.hidden(causal, q.shape[2], k.shape[2])
        attention = peers.functional.scaled_dot_product_attention
        return attention(q, k, v, attn_mask=hidden, scale=scale)[:, 0]

    return compute


def keras_attention(causal=False):
    @peer("keras.layers.Attention")
    def compute(peers, xs, p):
        layer = peers.keras.layers.Attention(use_scale=bool(p))
        layer.build([tuple(x.shape) for x in (xs[0], xs[-1], xs[1])])
        weights = [w.reshape(()) for w in p.values()]
        masks = None if peers.real is None else [peers.queries, peers.real, peers.real]
        given = [xs[0], xs[-1], xs[1]]
        return layer.stateless_call(weights, [], given, mask=masks, use_causal_mask=causal)[0]

    return compute


def pytorch_heads(peers, xs, p, causal=False, heads=2):
    module = peers.torch.nn.MultiheadAttention(
        xs[0].shape[-1], heads, kdim=xs[min(1, len(xs) - 1)].shape[-1], vdim=xs[-1].shape[-1],
        batch_first=True, bias="output_bias" in p,
    )  # fmt: skip
    if len(xs) == 1:
        weights = {"in_proj_weight": p["weight"].T, "in_proj_bias": p.get("bias")}
    else:
        three = [p[f"{name}_weight"].T for name in ("query", "key", "value")]
        biases = [p[f"{name}_bias"] for name in ("query", "key", "value") if f"{name}_bias" in p]
        weights = dict(zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), three, strict=True))
        if module.in_proj_weight is not None:
            weights = {"in_proj_weight": peers.torch.cat(three)}
        weights["in_proj_bias"] = peers.torch.cat(biases) if biases else None
    weights |= {"out_proj.weight": p["output_weight"].T, "out_proj.bias": p.get("output_bias")}
    query, key, value = xs[0], xs[min(1, len(xs) - 1)], xs[-1]
    return peers.call(
        module, {name: w for name, w in weights.items() if w is not None}, query, key, value,
        key_padding_mask=peers.padding(), need_weights=False,
        attn_mask=peers.later(causal, query.shape[1]),
    )[0]  # fmt: skip


def heads_of_pytorch(**options):
    return peer("torch.nn.MultiheadAttention")(
        lambda peers, xs, p: pytorch_heads(peers, xs, p, **options)
    )


def keras_heads(made, causal=False):
    """Return Keras's layer with several heads; of one input, our weight is cut in three."""
    name, widths, options = made

    @peer(f"keras.layers.{name}")
    def compute(peers, xs, p):
        layer = getattr(peers.keras.layers, name)(**options)
        if "weight" in p:
            names = ("query", "key", "value")
            parts = zip(names, p["weight"].split(widths, dim=1), strict=True)
            p = p | {f"{name}_weight": part for name, part in parts}
            if "bias" in p:
                parts = zip(names, p["bias"].split(widths), strict=True)
                p = p | {f"{name}_bias": part for name, part in parts}
        order = [
            p[f"{name}_{what}"]
            for name in ("query", "key", "value", "output")
            for what in ("weight", "bias")
            if f"{name}_{what}" in p
        ]
        query, key, value = xs[0], xs[min(1, len(xs) - 1)], xs[-1]
        given = (query, value, key)
        seen = peers.hidden(False, query.shape[1], key.shape[1])[:, 0]
        masks = {"attention_mask": seen, "use_causal_mask": causal}
        return peers.keras_layer(layer, given, order, **masks)

    return compute


def grouped(heads, shared, size, causal=False, base=None):
    """Return PyTorch's attention of groups; the products with weights are written out."""

    @peer("torch.nn.functional.scaled_dot_product_attention")
    def compute(peers, xs, p):
        def project(x, name, count):
            y = x @ p[f"{name}_weight"] + p[f"{name}_bias"]
            return y.unflatten(2, (count, size)).transpose(1, 2)

        if "weight" in p:
            widths = [heads * size, shared * size, shared * size]
            names, cut = ("query", "key", "value"), p["weight"].split(widths, dim=1)
            p = p | {f"{name}_weight": one for name, one in zip(names, cut, strict=True)}
            biases = zip(names, p["bias"].split(widths), strict=True)
            p = p | {f"{name}_bias": one for name, one in biases}
        q = project(xs[0], "query", heads)
        k = project(xs[min(1, len(xs) - 1)], "key", shared)
        v = project(xs[-1], "value", shared)
        if base:
            q, k = (rotary(base)(peers, [one], {}) for one in (q, k))
        y = peers.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=peers.hidden(causal, q.shape[2], k.shape[2]), enable_gqa=True
        )
        return y.transpose(1, 2).flatten(2) @ p["output_weight"] + p["output_bias"]

    return compute


def rotary(base=10_000.0):
    """Return products of complex numbers, as in the paper; neither library has the layer."""

    def compute(peers, xs, p):
        torch, x = peers.torch, xs[0]
        half = x.shape[-1] // 2
        angles = torch.outer(
            torch.arange(x.shape[-2], dtype=x.dtype),
            base ** (-torch.arange(half, dtype=x.dtype) / half),
        )
        turned = torch.complex(x[..., :half], x[..., half:]) * torch.exp(1j * angles)
        return torch.cat([turned.real, turned.imag], dim=-1)

    return compute


def of_attention(p, name, theirs):
    """Return the weights of PyTorch's attention `theirs` from ours, of one input or of two."""
    own = {key.removeprefix(f"{name}/"): value for key, value in p.items()}
    weight, bias = own.get("weight"), own.get("bias")
    if weight is None:
        import torch

        three = ("query", "key", "value")
        weight = torch.cat([own[f"{one}_weight"] for one in three], dim=1)
        bias = torch.cat([own[f"{one}_bias"] for one in three])
    return {
        f"{theirs}.in_proj_weight": weight.T,
        f"{theirs}.in_proj_bias": bias,
        f"{theirs}.out_proj.weight": own["output_weight"].T,
        f"{theirs}.out_proj.bias": own["output_bias"],
    }


def common(p, last):
    return {
        "linear1.weight": p["hidden/weight"].T, "linear1.bias": p["hidden/bias"],
        "linear2.weight": p["output/weight"].T, "linear2.bias": p["output/bias"],
        "norm1.weight": p["attention_norm/gamma"], "norm1.bias": p["attention_norm/beta"],
        f"{last}.weight": p["output_norm/gamma"], f"{last}.bias": p["output_norm/beta"],
    }  # fmt: skip


def encoder(units, causal=False, **options):
    @peer("torch.nn.TransformerEncoderLayer")
    def compute(peers, xs, p):
        module = peers.torch.nn.TransformerEncoderLayer(
            6, 2, units, dropout=0.0, batch_first=True, **options
        )
        weights = common(p, "norm2") | of_attention(p, "attention", "self_attn")
        later, padding = peers.later(causal, xs[0].shape[1]), peers.padding()
        return peers.call(module, weights, xs[0], src_mask=later, src_key_padding_mask=padding)

    return compute


def decoder(units, **options):
    @peer("torch.nn.TransformerDecoderLayer")
    def compute(peers, xs, p):
        module = peers.torch.nn.TransformerDecoderLayer(
            6, 2, units, dropout=0.0, batch_first=True, **options
        )
        weights = common(p, "norm3") | of_attention(p, "attention", "self_attn")
        weights |= of_attention(p, "cross_attention", "multihead_attn")
        weights["norm2.weight"] = p["cross_attention_norm/gamma"]
        weights["norm2.bias"] = p["cross_attention_norm/beta"]
        own = None if peers.queries is None else ~peers.queries
        return peers.call(
            module, weights, *xs, tgt_mask=peers.later(True, xs[0].shape[1]),
            tgt_key_padding_mask=own, memory_key_padding_mask=peers.padding(),
        )  # fmt: skip

    return compute


def of(shapes, theirs, **options):
    return shapes, options, theirs


def keras_multi(**options):
    sizes = [options["key_dim"]] * 2 + [options.get("value_dim", options["key_dim"])]
    widths = [options["num_heads"] * size for size in sizes]
    return "MultiHeadAttention", widths, options


def keras_grouped(size, heads, shared, **options):
    widths = [heads * size, shared * size, shared * size]
    counts = {"head_dim": size, "num_query_heads": heads, "num_key_value_heads": shared}
    return "GroupQueryAttention", widths, counts | options


QUIET = {"dropout": 0.0, "heads": 2}
CASES = {
    "cross_attention": [of(TWO, dot_product())],
    "attention": [
        of(TWO, dot_product()),
        of(THREE, dot_product(), dropout=0.0),
        of(THREE, dot_product(causal=True, scale=0.3), causal=True, scale=0.3),
        of(TWO, keras_attention(), scale=1.0),
        of(THREE, keras_attention(causal=True), scale=1.0, trained_scale=True, causal=True),
    ],
    "multi_head_attention": [
        of(ONE, heads_of_pytorch(), heads=2),
        of(ONE, heads_of_pytorch(causal=True), heads=2, causal=True),
        of(ONE, heads_of_pytorch(heads=3), heads=3, bias=False),
        of(TWO, heads_of_pytorch(), heads=2),
        of(((5, 6), (5, 6)), heads_of_pytorch(causal=True), heads=2, causal=True),
        of(THREE, heads_of_pytorch(), heads=2),
        of(THREE, heads_of_pytorch(), heads=2, bias=False),
        of(THREE, keras_heads(keras_multi(num_heads=3, key_dim=2)), heads=3),
        of(ONE, keras_heads(keras_multi(num_heads=4, key_dim=5, value_dim=3, output_shape=7),
                            causal=True),
           heads=4, head_size=5, value_size=3, units=7, causal=True),
        of(TWO, keras_heads(keras_multi(num_heads=2, key_dim=1, use_bias=False)), heads=2,
           head_size=1, bias=False),
        of(ONE, grouped(3, 3, 2, causal=True, base=100), heads=3, causal=True, rotary=100.0),
    ],
    "grouped_query_attention": [
        of(ONE, grouped(6, 2, 1), heads=6, key_value_heads=2),
        of(ONE, grouped(4, 1, 3, causal=True), heads=4, key_value_heads=1, head_size=3,
           causal=True),
        of(THREE, grouped(4, 2, 2), heads=4, key_value_heads=2, head_size=2),
        of(TWO, grouped(4, 2, 4, base=50), heads=4, key_value_heads=2, head_size=4, rotary=50.0),
        of(ONE, keras_heads(keras_grouped(3, 4, 2), causal=True), heads=4, key_value_heads=2,
           head_size=3, causal=True),
        of(TWO, keras_heads(keras_grouped(2, 3, 1, use_bias=False)), heads=3, key_value_heads=1,
           bias=False),
    ],
    "rotary_positions": [of(ONE, rotary()), of(ONE, rotary(7.0), base=7.0)],
    "transformer_encoder": [
        of(ONE, encoder(24), **QUIET),
        of(ONE, encoder(5, norm_first=True), **QUIET, hidden_units=5, norm_first=True),
        of(ONE, encoder(5, True, activation="gelu", layer_norm_eps=0.1), **QUIET, hidden_units=5,
           causal=True, epsilon=0.1, activation=activations.Gelu(exact=True)),
    ],
    "transformer_decoder": [
        of(TWO, decoder(24), **QUIET),
        of(TWO, decoder(5, norm_first=True), **QUIET, hidden_units=5, norm_first=True),
        of(ONE, encoder(5, True), **QUIET, hidden_units=5),
    ],
}  # fmt: skip
FAMILIES = ("attention", "dot_product_attention", "transformer")


def test_every_layer_of_these_families_is_compared():
    require_all("layer", CASES.keys() - {"rotary_positions"}, FAMILIES)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("name", "number"), [(name, k) for name, cases in CASES.items() for k in range(len(cases))]
)
def test_a_layer_has_the_outputs_and_the_gradients_of_its_peer(torch, keras, name, number, masked):
    shapes, options, compute = CASES[name][number]
    layer = installed().find("layer", name).cls(**options)
    rng = np.random.default_rng(number)
    inputs = [rng.normal(size=(ROWS, *shape)) for shape in shapes]
    real = queries = None
    if masked:
        steps = [np.arange(shape[0]) < LENGTHS[str(k)][:, None] for k, shape in enumerate(shapes)]
        queries = steps[0]
        real = np.logical_and.reduce(steps[1:]) if len(steps) > 1 else queries
    peers = Peers(torch, keras, real, queries)
    compare_layer(
        torch, layer, inputs, lambda xs, p: compute(peers, xs, p), peer=compute,
        lengths=LENGTHS if masked else None,
    )  # fmt: skip


def test_an_embedding_with_tied_output_has_the_gradients_of_pytorch(torch, keras):
    entries = [
        LayerEntry(embedding.Embedding(7, 6), EntryKeys(name="words")),
        transformer.TransformerEncoder(2, 5, dropout=0.0, causal=True),
        LayerEntry(None, EntryKeys(use="words", transposed=True)),
    ]
    root, rng = LayerBuilder("$", integer=True), np.random.default_rng(0)
    network = Network(root, (TIME,), root.chain(entries, (TIME,)), dtype=np.float64)
    network.initialize(0)
    x, gradient = rng.integers(0, 7, (ROWS, TIME)), np.zeros_like(network.vector)
    context = network.context(Workspace(np.float64, reuse=True), gradient, training=True)
    y, backward = network.forward(x, context)
    dy = rng.normal(size=y.shape)
    y = y.copy()
    backward(dy)
    p = {
        name.removeprefix("layers/1/"): torch.tensor(values.copy(), requires_grad=True)
        for name, values in network.parameters.items()
    }
    words = p["layers/words/weight"]
    inner = encoder(5, True)(Peers(torch, keras, None, None), [words[torch.tensor(x)]], p)
    expected = inner @ words.T
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10)
    for name, own in views(gradient, network.params).items():
        theirs = p[name.removeprefix("layers/1/")].grad.numpy()
        np.testing.assert_allclose(own, theirs, err_msg=name, rtol=1e-10, atol=1e-12)
