"""What Keras and PyTorch call an option, and nnreg the same: for suggestions, not aliases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnreg._utils.suggestions import did_you_mean
from nnreg.registry.foreign_names import normal

MASKED = "set data.sequences, whose padding layers and losses ignore"
INFERRED = "the shape of the input is known without it; remove it"

OPTIONS: Mapping[str, tuple[str, ...] | str] = {
    "lr": ("learning_rate",),
    "betas": ("beta1", "beta2"),
    "eps": ("epsilon",),
    "lrdecay": ("decay",),
    "gamma": ("decay",),
    "factor": ("decay", "height_factor", "scale"),
    "decayrate": ("decay",),
    "etamin": ("floor",),
    "minlr": ("floor",),
    "tmul": ("growth",),
    "pctstart": ("rise",),
    "warmup": ("rise",),
    "annealstrategy": ("shape",),
    "warmupsteps": ("warmup_epochs",),
    "startfactor": ("start",),
    "baseoptimizer": ("base",),
    "optimizer": ("base",),
    "k": ("sync_period",),
    "rho": ("radius",),
    "nssteps": ("iterations",),
    "stepsize": ("every",),
    "outfeatures": ("units",),
    "hiddensize": ("units",),
    "hiddenunits": ("units",),
    "neurons": ("units",),
    "act": ("activation",),
    "nonlinearity": ("activation",),
    "hiddendim": ("units",),
    "embeddingdim": ("units",),
    "outputdim": ("units",),
    "outchannels": ("filters",),
    "channels": ("filters",),
    "numembeddings": ("vocabulary",),
    "vocabsize": ("vocabulary",),
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
    "init": ("initializer",),
    "weightinit": ("initializer",),
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
    "numkvheads": ("key_value_heads",),
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
    "alpha": ("slope", "rho", "slow_step_size"),
    "approximate": ("exact",),
    "lambda": ("threshold", "factor"),
    "lambd": ("threshold",),
    "stddev": ("std",),
    "sigma": ("std",),
    "a": ("low",),
    "b": ("high",),
    "lower": ("low",),
    "upper": ("high",),
    "minval": ("low",),
    "maxval": ("high",),
    "axis": ("axes",),
    "layernormeps": ("epsilon",),
    "layernormepsilon": ("epsilon",),
    "topk": ("k",),
    "poslabel": ("positive",),
    "delta": ("beta",),
    "beta": ("delta",),
    "q": ("quantiles",),
    "tau": ("quantiles",),
    "numgroups": ("groups",),
    "maxlength": ("vocabulary",),
    "dims": ("axes", "shape"),
    "dim": ("axis", "axes", "units"),
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
    "bidirectional": 'write {"type": "bidirectional", "layer": {...}} around the layer',
    "recurrentdropout": "put a layer dropout between others",
    "maskzero": MASKED,
    "paddingidx": MASKED,
    "ignoreindex": MASKED,
    "numclasses": "the classes are those of the data; remove it",
    "posweight": "set data.class_weights",
    "numlayers": 'repeat the layer with {"type": "stack", "times": N, "layers": [...]}',
    "kernelregularizer": "set train.regularize",
    "biasregularizer": "set train.regularize",
    "kernelconstraint": "set train.constrain",
    "biasconstraint": "set train.constrain",
    "weightdecay": "set train.l2, or take the optimizer 'adamw'",
    "clipnorm": "set train.clip_norm",
    "globalclipnorm": "set train.clip_norm",
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

TOP_LEVEL = (
    "model",
    "loss",
    "optimizer",
    "schedule",
    "data",
    "metrics",
    "train",
    "checkpoint",
    "seed",
    "requires",
)
"""The keys of a spec, which others have inside of their optimizer or training."""


def option_meant(key: str, known: Iterable[str]) -> str:
    """Return a suggestion for an option that is not among the known ones; empty if none is."""
    text, own = normal(key), list(known)
    found = OPTIONS.get(text, "")
    same = [name for name in own if normal(name) == text]
    if isinstance(found, tuple):
        same = same or [name for name in found if name in own][: None if text == "betas" else 1]
        found = next((_at_top(name) for name in (key, *found) if name in TOP_LEVEL), "")
    elif key in TOP_LEVEL:
        found = _at_top(key)
    return did_you_mean(same) or (found and f"; {found}")


def value_meant(key: str, value: Any) -> str:
    """Return what to do instead of giving an option this value of a wrong type, or nothing."""
    schedule = isinstance(value, dict) or (isinstance(value, str) and value.isidentifier())
    return f"; for a schedule, {_at_top('schedule')}" if key == "learning_rate" and schedule else ""


def _at_top(name: str) -> str:
    return f'set "{name}" at the top level of the spec'
