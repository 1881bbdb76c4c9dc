"""Names that Keras and PyTorch use get a suggestion of the name here."""

import dataclasses

import pytest

from nnreg import SpecError
from nnreg.registry.foreign_names import COMPONENTS, meant
from nnreg.registry.foreign_options import OPTIONS, TOP_LEVEL, option_meant
from nnreg.registry.kinds import KINDS
from nnreg.registry.registry import installed
from nnreg.spec.document import read_spec
from nnreg.spec.sections import SECTIONS, Spec
from tests.helpers.specs import classifier

KNOWN = {
    kind: {e.name for e in installed() if e.kind == kind and e.plugin == "nnreg"} for kind in KINDS
}

NAMES = {
    "activation": {
        "ReLU": "relu", "ReLU6": "relu6", "LeakyReLU": "leaky_relu", "nn.GELU": "gelu",
        "torch.nn.SiLU": "silu", "swish": "silu", "Swish": "silu", "linear": "identity",
        "Linear": "identity", "hard_swish": "hard_silu", "Hardswish": "hard_silu",
        "Hardtanh": "hard_tanh", "Hardshrink": "hard_shrink", "Softshrink": "soft_shrink",
        "Tanhshrink": "tanh_shrink", "LogSoftmax": "log_softmax", "LogSigmoid": "log_sigmoid",
        "PReLU": "prelu", "Softmax": "softmax", "CELU": "celu", "SELU": "selu", "ELU": "elu",
        "Mish": "mish", "Threshold": "threshold", "Tanh": "tanh", "Softplus": "softplus",
        "gelu_tanh": "gelu",
    },
    "loss": {
        "BCELoss": "binary_cross_entropy", "BCEWithLogits": "binary_cross_entropy",
        "BCEWithLogitsLoss": "binary_cross_entropy", "CrossEntropyLoss": "cross_entropy",
        "binary_crossentropy": "binary_cross_entropy", "CategoricalCrossentropy": "cross_entropy",
        "sparse_categorical_crossentropy": "cross_entropy", "NLLLoss": "nll",
        "MSELoss": "mean_squared_error", "mse": "mean_squared_error",
        "MSE": "mean_squared_error", "mae": "mean_absolute_error",
        "L1Loss": "mean_absolute_error", "SmoothL1Loss": "smooth_l1", "HuberLoss": "huber",
        "KLDivLoss": "kl_divergence", "KLDivergence": "kl_divergence", "PoissonNLLLoss": "poisson",
        "GaussianNLLLoss": "gaussian_nll", "TripletMarginLoss": "triplet_margin",
        "MultiMarginLoss": "multi_margin", "SquaredHinge": "squared_hinge", "LogCosh": "log_cosh",
        "CategoricalHinge": "categorical_hinge", "CTCLoss": "ctc", "Dice": "dice",
        "CategoricalFocalCrossentropy": "focal_cross_entropy", "Tversky": "tversky",
        "BinaryFocalCrossentropy": "binary_focal_cross_entropy",
        "CosineSimilarity": "cosine_similarity",
        "MeanSquaredError": "mean_squared_error", "pinball": "quantile",
        "log_loss": "cross_entropy", "softmax_cross_entropy": "cross_entropy",
        "sigmoid_binary_cross_entropy": "binary_cross_entropy", "RMSE": "mean_squared_error",
    },
    "layer": {
        "Linear": "dense", "LazyLinear": "dense", "Dense": "dense", "Conv1D": "conv1d",
        "Conv2D": "conv2d", "Conv2d": "conv2d", "nn.Conv3d": "conv3d", "Convolution2D": "conv2d",
        "ConvTranspose2d": "conv2d_transpose", "Conv2DTranspose": "conv2d_transpose",
        "DepthwiseConv2D": "depthwise_conv2d", "SeparableConv2D": "separable_conv2d",
        "MaxPool2d": "max_pool2d", "MaxPooling2D": "max_pool2d", "AvgPool1d": "average_pool1d",
        "AveragePooling2D": "average_pool2d", "GlobalAveragePooling2D": "global_average_pool2d",
        "GlobalAvgPool1D": "global_average_pool1d", "GlobalMaxPooling3D": "global_max_pool3d",
        "AdaptiveAvgPool2d": "adaptive_average_pool2d", "BatchNorm1d": "batch_norm",
        "BatchNorm2d": "batch_norm", "BatchNormalization": "batch_norm", "LayerNorm": "layer_norm",
        "LayerNormalization": "layer_norm", "GroupNorm": "group_norm", "RMSNorm": "rms_norm",
        "InstanceNorm2d": "instance_norm", "SyncBatchNorm": "batch_norm", "Dropout": "dropout",
        "Dropout2d": "spatial_dropout2d", "SpatialDropout1D": "spatial_dropout1d",
        "AlphaDropout": "alpha_dropout", "GaussianNoise": "gaussian_noise", "LSTM": "lstm",
        "LSTMCell": "lstm", "GRU": "gru", "RNN": "simple_rnn", "SimpleRNN": "simple_rnn",
        "Embedding": "embedding", "MultiheadAttention": "multi_head_attention",
        "MultiHeadAttention": "multi_head_attention", "Flatten": "flatten", "Unflatten": "reshape",
        "GroupQueryAttention": "grouped_query_attention", "UpSampling2D": "up_sampling2d",
        "TransformerEncoderLayer": "transformer_encoder", "Upsample": "up_sampling2d",
        "ZeroPad2d": "zero_padding2d", "ZeroPadding2D": "zero_padding2d", "Concatenate": "concat",
        "RepeatVector": "repeat_vector", "Permute": "permute", "Cropping2D": "cropping2d",
        "Sequential": "stack", "GLU": "glu", "RReLU": "rrelu", "PairwiseDistance": "distance",
        "UnitNormalization": "unit_norm", "SpectralNormalization": "spectral_norm",
        "RandomHorizontalFlip": "random_flip", "SwiGLU": "glu", "fc": "dense", "MLP": "dense",
        "PositionalEncoding": "add_position", "SinePositionEncoding": "add_position",
        "self_attention": "multi_head_attention", "residual_block": "residual",
    },
    "optimizer": {
        "Adam": "adam", "AdamW": "adamw", "SGD": "sgd", "RMSprop": "rmsprop", "NAdam": "nadam",
        "torch.optim.Adam": "adam", "Adadelta": "adadelta",
        "ScheduleFreeAdamW": "schedule_free_adamw",
        "AdamWScheduleFree": "schedule_free_adamw", "momentum": "sgd", "ASGD": "sgd",
    },
    "schedule": {
        "StepLR": "step", "MultiStepLR": "step", "ExponentialLR": "exponential",
        "ExponentialDecay": "exponential", "CosineAnnealingLR": "cosine", "CosineDecay": "cosine",
        "CosineDecayRestarts": "cosine", "OneCycleLR": "one_cycle", "PolynomialLR": "polynomial",
        "ReduceLROnPlateau": "reduce_on_plateau", "LinearLR": "warmup", "ConstantLR": "constant",
        "wsd": "trapezoid", "noam": "inverse_sqrt", "linear_warmup": "warmup",
        "CyclicLR": "one_cycle",
        "warmup_cosine_decay": "warmup", "PiecewiseConstantDecay": "step",
    },
    "initializer": {
        "he_uniform_": "he_uniform", "kaiming_uniform_": "he_uniform", "HeNormal": "he_normal",
        "kaiming_normal_": "he_normal", "xavier_uniform_": "glorot_uniform", "zeros_": "zeros",
        "xavier_normal_": "glorot_normal", "RandomNormal": "normal", "random_uniform": "uniform",
        "trunc_normal_": "truncated_normal", "orthogonal_": "orthogonal", "eye_": "identity",
        "GlorotUniform": "glorot_uniform", "VarianceScaling": "variance_scaling",
        "xavier": "glorot_uniform", "kaiming": "he_uniform", "he": "he_normal",
    },
    "regularizer": {
        "L1": "l1", "L1L2": "l1_l2", "OrthogonalRegularizer": "orthogonal", "ridge": "l2",
    },
    "constraint": {"MaxNorm": "max_norm", "NonNeg": "non_negative", "UnitNorm": "unit_norm"},
    "metric": {
        "acc": "accuracy", "SparseCategoricalAccuracy": "accuracy", "AUC": "auc", "F1Score": "f1",
        "TopKCategoricalAccuracy": "top_k_accuracy", "R2Score": "r2", "FBetaScore": "f_beta",
        "mse": "mean_squared_error", "MAE": "mean_absolute_error", "MeanIoU": "mean_iou",
        "RootMeanSquaredError": "root_mean_squared_error", "PearsonCorrelation": "pearson",
        "rmse": "root_mean_squared_error", "MatthewsCorrCoef": "matthews", "sensitivity": "recall",
        "binary_crossentropy": "log_loss",
        "cross_entropy": "log_loss", "average_precision_score": "auc", "auroc": "auc",
        "ece": "calibration_error", "jaccard": "mean_iou", "dice": "f1", "TNR": "specificity",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name", "own"),
    [(kind, name, own) for kind, names in NAMES.items() for name, own in names.items()],
)
def test_a_foreign_name_means_the_one_here(kind, name, own):
    hint = meant(kind, name, KNOWN)
    assert hint.startswith(f"; did you mean {own!r}?")
    assert hint in meant("component", name, {kind: KNOWN[kind]})


def test_only_registered_names_are_suggested():
    assert meant("layer", "Linear", {"layer": {"conv2d"}}) == ""
    for kind, names in COMPONENTS.items():
        targets = {found if isinstance(found, str) else found[0] for found in names.values()}
        assert targets <= KNOWN[kind] | {""}


def test_only_options_of_components_and_sections_are_suggested():
    classes = [entry.cls for entry in installed() if entry.plugin == "nnreg"] + [Spec, *SECTIONS]
    options = {field.name for cls in classes for field in dataclasses.fields(cls)}
    targets = {one for found in OPTIONS.values() if isinstance(found, tuple) for one in found}
    assert targets <= options


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        ("layer", "ReLU", '; write {"type": "activation", "activation": "relu"}'),
        ("layer", "Softmax2d", '; write {"type": "activation", "activation": "softmax"}'),
        ("metric", "Hinge", "; 'hinge' is a loss, not a metric"),
        ("activation", "GLU", "; 'glu' is a layer, not an activation"),
        ("loss", "accuracy", "; 'accuracy' is a metric, not a loss"),
        ("layer", "InputLayer", "; the inputs are those of the data; remove it"),
        ("layer", "ReflectionPad2d", "; convolutions pad their inputs, see padding_mode; remove"),
    ],
)
def test_what_is_not_of_this_kind_is_explained(kind, name, hint):
    assert meant(kind, name, KNOWN).startswith(hint)


def test_a_name_of_neither_is_no_foreign_name():
    for kind in KINDS:
        assert (
            meant(kind, "rleu", KNOWN) == meant(kind, "", KNOWN) == meant(kind, "é:b", KNOWN) == ""
        )


@pytest.mark.parametrize(
    ("key", "known", "hint"),
    [
        ("lr", ["learning_rate", "momentum"], "; did you mean 'learning_rate'?"),
        ("learningRate", ["learning_rate"], "; did you mean 'learning_rate'?"),
        ("betas", ["beta1", "beta2"], "; did you mean 'beta1' or 'beta2'?"),
        ("beta_1", ["beta1", "beta2"], "; did you mean 'beta1'?"),
        ("out_features", ["units"], "; did you mean 'units'?"),
        ("kernel_size", ["kernel", "size"], "; did you mean 'kernel'?"),
        ("kernel_size", ["size", "stride"], "; did you mean 'size'?"),
        ("kernel_initializer", ["initializer"], "; did you mean 'initializer'?"),
        ("return_sequences", ["units", "sequences"], "; did you mean 'sequences'?"),
        ("num_heads", ["heads"], "; did you mean 'heads'?"),
        ("p", ["rate"], "; did you mean 'rate'?"),
        ("alpha", ["slope"], "; did you mean 'slope'?"),
        ("factor", ["decay", "patience"], "; did you mean 'decay'?"),
        ("lower", ["low", "high"], "; did you mean 'low'?"),
        ("rho", ["base", "radius"], "; did you mean 'radius'?"),
        ("vocab_size", ["vocabulary"], "; did you mean 'vocabulary'?"),
        (
            "bidirectional",
            ["projection", "units"],
            '; write {"type": "bidirectional", "layer": {...}} around the layer',
        ),
        ("mask_zero", ["units"], "; set data.sequences, whose padding layers and losses ignore"),
        ("batch", ["epochs", "batch_size"], "; did you mean 'batch_size'?"),
        ("in_features", ["units"], "; the shape of the input is known without it; remove it"),
        ("validation_split", ["epochs"], "; set data.split.validation"),
        ("weight_decay", ["learning_rate"], "; set train.l2, or take the optimizer 'adamw'"),
        ("schedule", ["shuffle"], '; set "schedule" at the top level of the spec'),
        ("lr_scheduler", ["shuffle"], '; set "schedule" at the top level of the spec'),
        ("optimizer", ["epochs"], '; set "optimizer" at the top level of the spec'),
        ("optimizer", ["base"], "; did you mean 'base'?"),
        ("criterion", ["epochs"], '; set "loss" at the top level of the spec'),
        ("p", ["units"], ""),
        ("unti", ["units"], ""),
    ],
)
def test_a_foreign_option_means_the_one_here(key, known, hint):
    assert option_meant(key, known) == hint


def test_the_keys_at_the_top_level_are_those_of_a_spec():
    assert set(TOP_LEVEL) == {field.name for field in dataclasses.fields(Spec)}


@pytest.mark.parametrize("schedule", [{"type": "cosine"}, "cosine"])
def test_a_schedule_for_a_learning_rate_belongs_at_the_top_level(schedule):
    with pytest.raises(SpecError) as error:
        read_spec(classifier(optimizer={"type": "adam", "learning_rate": schedule}))
    (problem,) = error.value.problems
    assert problem.path == "$.optimizer.learning_rate"
    end = '; for a schedule, set "schedule" at the top level of the spec'
    assert problem.message.startswith("must be a valid number, found ")
    assert problem.message.endswith(end)


@pytest.mark.parametrize("value", ["0.1", True, None])
def test_another_wrong_learning_rate_is_not_taken_for_a_schedule(value):
    with pytest.raises(SpecError) as error:
        read_spec(classifier(optimizer={"type": "adam", "learning_rate": value}))
    assert "schedule" not in str(error.value)


def test_a_spec_with_the_names_of_another_library_says_what_to_write():
    layers = [{"type": "Linear", "out_features": 4}, {"type": "dense", "out_features": 3}]
    spec = classifier(
        loss="BCEWithLogitsLoss", optimizer={"type": "adam", "lr": 0.1}, train={"batch": 2}
    )
    spec["model"]["layers"] = layers
    with pytest.raises(SpecError) as caught:
        read_spec(spec)
    assert {problem.path: problem.message for problem in caught.value.problems} == {
        "$.model.layers[0]": "no layer 'Linear'; did you mean 'dense'?",
        "$.model.layers[1].out_features": "unknown key 'out_features'; did you mean 'units'?",
        "$.model.layers[1].units": "required, but not given",
        "$.loss": "no loss 'BCEWithLogitsLoss'; did you mean 'binary_cross_entropy'? Put a "
        "sigmoid before it; it computes from the logits nevertheless.",
        "$.optimizer.lr": "unknown key 'lr'; did you mean 'learning_rate'?",
        "$.train.batch": "unknown key 'batch'; did you mean 'batch_size'?",
    }
