"""Random specs, each with data: what networks with different kernels are compared on."""

import numpy as np

COMPILED = ("identity", "relu", "leaky_relu", "tanh", "sigmoid")
"""The activations of compiled chains."""

ACTIVATIONS = (*COMPILED, "gelu", "silu", "elu", "softplus", "mish", "hard_sigmoid", "relu6")
NORMS = (
    {"type": "batch_norm"},
    {"type": "layer_norm"},
    {"type": "rms_norm"},
    {"type": "group_norm", "groups": 1},
    {"type": "dropout", "rate": 0.3},
)
OPTIMIZERS = (
    {"type": "sgd"},
    {"type": "sgd", "momentum": 0.9},
    {"type": "sgd", "momentum": 0.8, "nesterov": True},
    {"type": "rmsprop"},
    {"type": "adam"},
    {"type": "adamw", "weight_decay": 0.1},
    {"type": "adagrad"},
    {"type": "nadam"},
    {"type": "lamb"},
)
TRAIN = (
    {"accumulate": 2},
    {"clip_norm": 0.5},
    {"clip_value": 0.05},
    {"ema": 0.9},
    {"l1": 1e-3},
    {"l2": 1e-3},
    {"weight_decay": 0.1},
    {"shuffle": False},
    {"threads": 2},
    {"shards": 2},
    {"constrain": {"*/weight": {"type": "max_norm", "max_value": 1.0}}},
    {"learning_rates": {"layers/0/*": 0.5}},
)
LOSSES = {
    "classes": (
        "cross_entropy",
        {"type": "cross_entropy", "label_smoothing": 0.1},
        {"type": "focal_cross_entropy", "gamma": 1.5},
    ),
    "binary": ("binary_cross_entropy",),
    "numbers": ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh"),
}
SIZES = (1, 2, 3, 5, 8, 13, 16, 17, 33)


class Draw:
    """Draws the parts of a spec."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def one(self, values):
        return values[self.rng.integers(len(values))]

    def chance(self, probability):
        return self.rng.random() < probability

    def dense(self):
        bias = {} if self.chance(0.8) else {"bias": False}
        return {"type": "dense", "units": self.one(SIZES), "activation": self.activation(), **bias}

    def activation(self):
        return self.one(COMPILED if self.chance(0.6) else ACTIVATIONS)

    def norms(self, probability=0.3):
        return [self.one(NORMS)] if self.chance(probability) else []

    def chain(self):
        drop = [NORMS[-1]] if self.chance(0.3) else []
        return (self.one((1, 2, 3, 7, 20)),), [
            self.dense() for _ in range(self.rng.integers(4))
        ] + drop

    def mixed(self):
        layers = []
        for _ in range(self.rng.integers(1, 3)):
            units = self.one(SIZES[1:])
            layers += [{**self.dense(), "units": units}, *self.norms(0.6)]
        return (self.one((2, 3, 7, 20)),), layers

    def image(self):
        channels = self.one((1, 2, 3))
        layers = []
        for _ in range(self.rng.integers(1, 3)):
            common = {"filters": self.one((2, 3, 4, 8, 9)), "activation": self.activation()}
            stride, padding = self.one((1, 1, 2)), self.one(("valid", "same", 1))
            window = {"kernel": self.one((1, 2, 3, [1, 3])), "stride": stride, "padding": padding}
            kind = self.one(("conv2d", "conv2d", "separable_conv2d", "conv2d_transpose"))
            if kind == "conv2d_transpose":
                window["padding"] = "valid"
            layers += [{"type": kind, **common, **window}, *self.norms()]
        if self.chance(0.5):
            layers.append(
                {"type": self.one(("max_pool2d", "average_pool2d")), "size": 2, "padding": "same"}
            )
        layers.append({"type": self.one(("flatten", "global_average_pool2d", "global_max_pool2d"))})
        return (*self.one(((7, 7), (8, 9), (10, 6))), channels), layers

    def sequence(self):
        kind = self.one(("lstm", "gru", "simple_rnn", "conv1d"))
        units = self.one((2, 3, 5, 8))
        if kind == "conv1d":
            first = {"type": "conv1d", "filters": units, "padding": self.one(("same", "causal"))}
        else:
            first = {"type": kind, "units": units, "sequences": True}
            if self.chance(0.3):
                first = {"type": "bidirectional", "layer": first}
        last = {"type": self.one(("lstm", "gru")), "units": self.one((1, 3, 6))}
        pool = {"type": "global_average_pool1d"}
        return (self.one((1, 4, 7)), self.one((1, 3))), [
            first,
            *self.norms(),
            self.one((last, pool)),
        ]

    def tokens(self):
        shape, units = (self.one((3, 6)),), self.one((4, 6))
        layers = [{"type": "embedding", "vocabulary": 11, "units": units}]
        if self.chance(0.5):
            layers.append({"type": "multi_head_attention", "heads": 2, "causal": self.chance(0.5)})
        return shape, [*layers, *self.norms(), {"type": "flatten"}]


def random_spec(seed):
    """Return a spec, its data, and weights of the rows or None; a few specs are refused."""
    draw = Draw(seed)
    kind = draw.one(("chain", "chain", "mixed", "image", "sequence", "tokens"))
    shape, layers = getattr(draw, kind)()
    rows, batch = int(draw.one((9, 20, 41))), int(draw.one((1, 3, 4, 8, 64)))
    if batch == 1 or rows % batch == 1:
        batch = 7  # batch norm needs two rows
    task = draw.one(tuple(LOSSES))
    x = draw.rng.normal(size=(rows, *shape))
    if kind == "tokens":
        x = draw.rng.integers(0, 11, (rows, *shape))
    score = x.reshape(rows, -1)[:, 0] + draw.rng.normal(size=rows)
    if task == "classes":
        y = np.array(["a", "b", "c"])[np.argsort(np.argsort(score)) % 3]
        layers.append({"type": "dense", "units": "classes", "activation": "softmax"})
    elif task == "binary":
        y = np.where(np.argsort(score) % 2, "no", "yes")
        layers.append({"type": "dense", "units": 1, "activation": "sigmoid"})
    else:
        y = draw.rng.normal(size=(rows, draw.one((1, 2, 5))))
        layers.append({"type": "dense", "units": y.shape[1]})
    train = {"epochs": 2, "batch_size": batch}
    for _ in range(draw.rng.integers(3)):
        train |= draw.one(TRAIN)
    train.setdefault("threads", 1)
    model = {"layers": layers}
    if draw.chance(0.15):
        model["members"] = 2
        train.pop("accumulate", None)
    spec = {
        "seed": seed,
        "model": model,
        "loss": draw.one(LOSSES[task]),
        "optimizer": {**draw.one(OPTIMIZERS), "learning_rate": 0.01},
        "train": train,
    }
    if draw.chance(0.3):
        spec["schedule"] = draw.one(("cosine", "one_cycle", {"type": "exponential", "decay": 0.9}))
    weights = draw.rng.integers(0, 3, rows).astype(float) + 0.5 if draw.chance(0.3) else None
    return spec, (x, y), weights
