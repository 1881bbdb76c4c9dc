"""Names that Keras and PyTorch use, and what nnreg calls the same: for suggestions, not aliases.

Two names are the same if they differ only in case, underscores and what `REWRITTEN` has, as
`MaxPooling2D` and `max_pool2d`. Only the others are in the table, by kind of component. What is not
registered is not suggested. Options are in `foreign_options`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from nnreg._utils.formatting import with_article
from nnreg._utils.suggestions import did_you_mean

REWRITTEN = (
    (r"^(lazy|sync|random(?=normal|uniform))", ""),
    (r"avg", "average"),
    (r"pooling", "pool"),
    (r"normalization", "norm"),
    (r"convolution", "conv"),
    (r"convtranspose(\dd)", r"conv\1transpose"),
    (r"zeropad(?=\dd)", "zeropadding"),
    (r"(loss|initializer|regularizer|layer|score|correlation|decay|lr)$", ""),
)
"""Patterns in normalized names, and what replaces them."""

AFTER_SIGMOID = "Put a sigmoid before it; it computes from the logits nevertheless."
AFTER_SOFTMAX = "Put a softmax before it; it computes from the logits nevertheless."
CLASSES = "It takes classes in any form."
WHOLE_SEQUENCE = "It processes all steps."
PADDED = "Convolutions pad their inputs, see padding_mode; remove it"
ENCODED = "Columns are encoded before the network, see data.columns; remove it"

COMPONENTS: Mapping[str, Mapping[str, str | tuple[str, str]]] = {
    "activation": {
        "linear": "identity",
        "none": "identity",
        "swish": "silu",
        "hardswish": "hard_silu",
        "gelutanh": "gelu",
        "gelunew": "gelu",
    },
    "loss": {
        "bce": "binary_cross_entropy",
        "bcewithlogits": ("binary_cross_entropy", AFTER_SIGMOID),
        "multilabelsoftmargin": ("binary_cross_entropy", AFTER_SIGMOID),
        "crossentropyloss": ("cross_entropy", AFTER_SOFTMAX),
        "categoricalcrossentropy": ("cross_entropy", CLASSES),
        "sparsecategoricalcrossentropy": ("cross_entropy", CLASSES),
        "categoricalfocalcrossentropy": ("focal_cross_entropy", CLASSES),
        "categoricalgeneralizedcrossentropy": ("generalized_cross_entropy", CLASSES),
        "focal": "focal_cross_entropy",
        "sigmoidfocal": "binary_focal_cross_entropy",
        "mse": "mean_squared_error",
        "mae": "mean_absolute_error",
        "l1": "mean_absolute_error",
        "l2": "mean_squared_error",
        "mape": "mean_absolute_percentage_error",
        "msle": "mean_squared_logarithmic_error",
        "kldiv": "kl_divergence",
        "kld": "kl_divergence",
        "poissonnll": "poisson",
        "tripletmarginwithdistance": "triplet_margin",
        "pinball": "quantile",
        "logistic": "binary_cross_entropy",
        "sigmoidbinarycrossentropy": ("binary_cross_entropy", AFTER_SIGMOID),
        "softmaxcrossentropy": ("cross_entropy", AFTER_SOFTMAX),
        "log": "cross_entropy",
        "rmse": ("mean_squared_error", "It is lowest where its root is."),
    },
    "layer": {
        "linear": "dense",
        "fullyconnected": "dense",
        "rnn": "simple_rnn",
        "fc": "dense",
        "feedforward": "dense",
        "mlp": ("dense", "Write one for each layer."),
        "maxoutdense": "maxout",
        "swiglu": ("glu", 'Set activation to "silu".'),
        "geglu": ("glu", 'Set activation to "gelu".'),
        "selfattention": "multi_head_attention",
        "scaleddotproductattention": "attention",
        "positionalencoding": ("add_position", "Set learned to false for sines."),
        "sinepositionencoding": ("add_position", "Set learned to false."),
        "positionembedding": "add_position",
        "rotaryembedding": "rotary_positions",
        "residualblock": "residual",
        "skip": "residual",
        "skipconnection": "residual",
        "randomhorizontalflip": ("random_flip", 'Set mode to "horizontal".'),
        "randomverticalflip": ("random_flip", 'Set mode to "vertical".'),
        "rnncell": ("simple_rnn", WHOLE_SEQUENCE),
        "simplernncell": ("simple_rnn", WHOLE_SEQUENCE),
        "lstmcell": ("lstm", WHOLE_SEQUENCE),
        "grucell": ("gru", WHOLE_SEQUENCE),
        "dropout1d": "spatial_dropout1d",
        "dropout2d": "spatial_dropout2d",
        "dropout3d": "spatial_dropout3d",
        "groupqueryattention": "grouped_query_attention",
        "transformer": ("transformer_encoder", "A decoder is transformer_decoder."),
        "concatenate": "concat",
        "pairwisedistance": "distance",
        "unflatten": "reshape",
        "upsample": "up_sampling2d",
        "upsamplingnearest2d": "up_sampling2d",
        "sequential": ("stack", "A network is the list model.layers."),
        "modulelist": ("stack", "A network is the list model.layers."),
        "reversibleembedding": ("embedding", 'Its transpose is {"use": NAME, "transposed": true}.'),
        "normalization": ("", "Numbers are scaled before the network, see data.scaling; remove it"),
        "input": ("", "The inputs are those of the data; remove it"),
        "inputlayer": ("", "The inputs are those of the data; remove it"),
        "masking": ("", "Masks come from the data, see data.sequences; remove it"),
        "reflectionpad": ("", PADDED),
        "replicationpad": ("", PADDED),
        "circularpad": ("", PADDED),
        "categoryencoding": ("", ENCODED),
        "integerlookup": ("", ENCODED),
        "stringlookup": ("", ENCODED),
    },
    "optimizer": {
        "sparseadam": "adam",
        "adamwschedulefree": "schedule_free_adamw",
        "schedulefree": "schedule_free_adamw",
        "gd": "sgd",
        "momentum": ("sgd", "Set momentum."),
        "nesterov": ("sgd", "Set momentum and nesterov."),
        "asgd": ("sgd", "Set train.ema."),
    },
    "schedule": {
        "cosineannealing": "cosine",
        "cosineannealingwarmrestarts": ("cosine", "Set restarts."),
        "cosinedecayrestarts": ("cosine", "Set restarts."),
        "linear": "warmup",
        "multistep": "step",
        "sequential": ("warmup", "Set after."),
        "linearwarmup": "warmup",
        "cosinewithwarmup": ("warmup", 'Set after to "cosine".'),
        "warmupcosine": ("warmup", 'Set after to "cosine".'),
        "cyclic": "one_cycle",
        "triangular": "one_cycle",
        "noam": "inverse_sqrt",
        "rsqrt": "inverse_sqrt",
        "wsd": "trapezoid",
        "piecewiseconstant": "step",
        "reducelronplateau": "reduce_on_plateau",
    },
    "initializer": {
        "kaimingnormal": "he_normal",
        "kaiminguniform": "he_uniform",
        "xaviernormal": "glorot_normal",
        "xavieruniform": "glorot_uniform",
        "kaiming": "he_uniform",
        "xavier": "glorot_uniform",
        "he": "he_normal",
        "glorot": "glorot_uniform",
        "lecun": "lecun_normal",
        "truncnormal": "truncated_normal",
        "eye": "identity",
    },
    "constraint": {"nonneg": "non_negative"},
    "regularizer": {"elasticnet": "l1_l2", "lasso": "l1", "ridge": "l2"},
    "metric": {
        "acc": "accuracy",
        "binaryaccuracy": ("accuracy", CLASSES),
        "categoricalaccuracy": ("accuracy", CLASSES),
        "sparsecategoricalaccuracy": ("accuracy", CLASSES),
        "topkcategoricalaccuracy": ("top_k_accuracy", CLASSES),
        "sparsetopkcategoricalaccuracy": ("top_k_accuracy", CLASSES),
        "binarycrossentropy": ("log_loss", CLASSES),
        "categoricalcrossentropy": ("log_loss", CLASSES),
        "sparsecategoricalcrossentropy": ("log_loss", CLASSES),
        "rocauc": "auc",
        "auroc": "auc",
        "averageprecision": ("auc", 'Set curve to "precision_recall".'),
        "prauc": ("auc", 'Set curve to "precision_recall".'),
        "crossentropy": "log_loss",
        "nll": "log_loss",
        "mse": "mean_squared_error",
        "mae": "mean_absolute_error",
        "rmse": "root_mean_squared_error",
        "mcc": "matthews",
        "matthewscorrcoef": "matthews",
        "matthewscorrelationcoefficient": "matthews",
        "kappa": "cohen_kappa",
        "pearsonr": "pearson",
        "spearmanr": "spearman",
        "ece": "calibration_error",
        "jaccard": "mean_iou",
        "dice": "f1",
        "top5accuracy": "top_k_accuracy",
        "iou": "mean_iou",
        "binaryiou": "mean_iou",
        "onehotiou": "mean_iou",
        "onehotmeaniou": "mean_iou",
        "sensitivity": "recall",
        "tpr": "recall",
        "tnr": "specificity",
    },
}
"""For each kind, the name here by a normalized name there, with a sentence on what differs."""


def meant(kind: str, name: str, known: Mapping[str, Collection[str]]) -> str:
    """Return a suggestion for the name of a component of a kind; empty if there is none.

    `known` has the names that exist, by kind. The kind may be any, `component`.
    """
    for one in known if kind == "component" else (kind,):
        if found := _find(one, name, known.get(one, ())):
            target, note = found
            hint = did_you_mean([target]) if target else f"; {note[0].lower()}{note[1:]}"
            return f"{hint} {note}" if target and note else hint
    for one in known:
        target = (_find(one, name, known[one]) or ("", ""))[0]
        if target and kind == "layer" and one == "activation":
            return f'; write {{"type": "activation", "activation": "{target}"}}'
        if target:
            return f"; {target!r} is {with_article(one)}, not {with_article(kind)}"
    return ""


def _find(kind: str, name: str, known: Collection[str]) -> tuple[str, str] | None:
    """Return the name here and what differs, if there is one among the known names."""
    by_normal = {normal(one): one for one in known}
    for form in _forms(name):
        found = COMPONENTS.get(kind, {}).get(form, by_normal.get(form))
        target, note = (found, "") if isinstance(found, str) else found or ("", "")
        if target in known or (note and not target):
            return target, note
    return None


def _forms(name: str) -> Iterator[str]:
    """Yield a name normalized, then with what `REWRITTEN` has, then without its dimensions."""
    text = normal(name.rpartition(".")[2])  # of torch.nn.Linear
    yield text
    for pattern, replacement in REWRITTEN:
        text = re.sub(pattern, replacement, text)
    yield text
    yield re.sub(r"(loss)?[123]d$", "", text)


def normal(name: str) -> str:
    """Return a name in lower case, without what separates its words."""
    return re.sub(r"[\W_]", "", name).lower()
