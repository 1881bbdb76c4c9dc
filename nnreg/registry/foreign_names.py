"""Names that Keras and PyTorch use, and what nnreg calls the same: for suggestions, not aliases.

Two names are the same if they differ only in case, underscores and what `REWRITTEN` has, as
`MaxPooling2D` and `max_pool2d`. Only the others are in the tables: by kind of component in
`COMPONENTS`, of options in `OPTIONS`. What is not registered is not suggested.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

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
    },
    "layer": {
        "linear": "dense",
        "fullyconnected": "dense",
        "rnn": "simple_rnn",
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
    "optimizer": {"sparseadam": "adam"},
    "schedule": {
        "cosineannealing": "cosine",
        "cosineannealingwarmrestarts": ("cosine", "Set restarts."),
        "cosinedecayrestarts": ("cosine", "Set restarts."),
        "linear": "warmup",
        "multistep": "step",
        "sequential": ("warmup", "Set after."),
        "reducelronplateau": "reduce_on_plateau",
    },
    "initializer": {
        "kaimingnormal": "he_normal",
        "kaiminguniform": "he_uniform",
        "xaviernormal": "glorot_normal",
        "xavieruniform": "glorot_uniform",
        "truncnormal": "truncated_normal",
        "eye": "identity",
    },
    "constraint": {"nonneg": "non_negative"},
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
        "mse": "mean_squared_error",
        "mae": "mean_absolute_error",
        "rmse": "root_mean_squared_error",
        "mcc": "matthews",
        "matthewscorrcoef": "matthews",
        "iou": "mean_iou",
        "binaryiou": "mean_iou",
        "onehotiou": "mean_iou",
        "onehotmeaniou": "mean_iou",
        "sensitivity": "recall",
    },
}
"""For each kind, the name here by a normalized name there, with a sentence on what differs."""

INFERRED = "the shape of the input is known without it; remove it"

OPTIONS: Mapping[str, tuple[str, ...] | str] = {
    "lr": ("learning_rate",),
    "betas": ("beta1", "beta2"),
    "eps": ("epsilon",),
    "lrdecay": ("decay",),
    "gamma": ("decay",),
    "stepsize": ("every",),
    "outfeatures": ("units",),
    "hiddensize": ("units",),
    "hiddendim": ("units",),
    "embeddingdim": ("units",),
    "outputdim": ("units",),
    "outchannels": ("filters",),
    "numembeddings": ("vocabulary",),
    "inputdim": ("vocabulary",),
    "kernelsize": ("kernel", "size"),
    "poolsize": ("size",),
    "strides": ("stride",),
    "scalefactor": ("size",),
    "dilationrate": ("dilation",),
    "depthmultiplier": ("multiplier",),
    "cropping": ("crop",),
    "usebias": ("bias",),
    "kernelinitializer": ("initializer",),
    "weightinitializer": ("initializer",),
    "embeddingsinitializer": ("initializer",),
    "alphainitializer": ("initializer",),
    "returnsequences": ("sequences",),
    "gobackwards": ("backwards",),
    "projsize": ("projection",),
    "numheads": ("heads",),
    "nhead": ("heads",),
    "numqueryheads": ("heads",),
    "numkeyvalueheads": ("key_value_heads",),
    "keydim": ("head_size",),
    "headdim": ("head_size",),
    "kdim": ("head_size",),
    "valuedim": ("value_size",),
    "vdim": ("value_size",),
    "dimfeedforward": ("hidden_units",),
    "intermediatedim": ("hidden_units",),
    "usecausalmask": ("causal",),
    "iscausal": ("causal",),
    "p": ("rate",),
    "dropoutrate": ("rate", "dropout"),
    "negativeslope": ("slope",),
    "stddev": ("std",),
    "a": ("low",),
    "minval": ("low",),
    "maxval": ("high",),
    "numgroups": ("groups",),
    "maxlength": ("vocabulary",),
    "dims": ("axes",),
    "targetshape": ("shape",),
    "n": ("times",),
    "batch": ("batch_size",),
    "minibatchsize": ("batch_size",),
    "numepochs": ("epochs",),
    "nepochs": ("epochs",),
    "maxepochs": ("epochs",),
    "gradclip": ("clip_norm",),
    "maxgradnorm": ("clip_norm",),
    "useema": ("ema",),
    "earlystop": ("early_stopping",),
    "criterion": ("loss",),
    "lossfn": ("loss",),
    "optim": ("optimizer",),
    "lrscheduler": ("schedule",),
    "scheduler": ("schedule",),
    "layer": ("layers",),
    "classweight": ("class_weights",),
    "sampleweight": ("sample_weights",),
    "infeatures": INFERRED,
    "inchannels": INFERRED,
    "inputsize": INFERRED,
    "inputshape": INFERRED,
    "numfeatures": INFERRED,
    "numchannels": INFERRED,
    "normalizedshape": INFERRED,
    "embeddim": INFERRED,
    "dmodel": INFERRED,
    "batchfirst": "the examples of a batch always come first; remove it",
    "fromlogits": "after an activation that it can include, a loss computes from logits; remove it",
    "reduction": "a loss is the mean over the batch; remove it",
    "inplace": "remove it",
    "numlayers": 'repeat the layer with {"type": "stack", "times": N, "layers": [...]}',
    "kernelregularizer": "set train.regularize",
    "biasregularizer": "set train.regularize",
    "kernelconstraint": "set train.constrain",
    "biasconstraint": "set train.constrain",
    "weightdecay": "set train.l2, or take the optimizer 'adamw'",
    "clipnorm": "set train.clip_norm",
    "clipvalue": "set train.clip_value",
    "trainable": "set train.freeze",
    "epochs": "set train.epochs",
    "batchsize": "set train.batch_size",
    "validationsplit": "set data.split.validation",
    "validationdata": "set data.split.validation",
    "testsize": "set data.split.test",
    "callbacks": "see train.early_stopping and the hooks of plugins",
}
"""For an option there, the option here, the first of several that a component has, or what to do
instead if it has none of that name."""


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


def option_meant(key: str, known: Iterable[str]) -> str:
    """Return a suggestion for an option that is not among the known ones; empty if none is."""
    text, own = _normal(key), list(known)
    found = OPTIONS.get(text, "")
    same = [name for name in own if _normal(name) == text]
    if isinstance(found, tuple):
        same = same or [name for name in found if name in own][: None if text == "betas" else 1]
        found = ""
    return did_you_mean(same) or (found and f"; {found}")


def _find(kind: str, name: str, known: Collection[str]) -> tuple[str, str] | None:
    """Return the name here and what differs, if there is one among the known names."""
    by_normal = {_normal(one): one for one in known}
    for form in _forms(name):
        found = COMPONENTS.get(kind, {}).get(form, by_normal.get(form))
        target, note = (found, "") if isinstance(found, str) else found or ("", "")
        if target in known or (note and not target):
            return target, note
    return None


def _forms(name: str) -> Iterator[str]:
    """Yield a name normalized, then with what `REWRITTEN` has, then without its dimensions."""
    text = _normal(name.rpartition(".")[2])  # of torch.nn.Linear
    yield text
    for pattern, replacement in REWRITTEN:
        text = re.sub(pattern, replacement, text)
    yield text
    yield re.sub(r"(loss)?[123]d$", "", text)


def _normal(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
