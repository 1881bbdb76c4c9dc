"""The built-in components, registered as a plugin is."""

from __future__ import annotations

from collections.abc import Mapping

from nnreg.builtin import (
    activations,
    augmentations,
    constraints,
    encoders,
    initializers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
    sources,
)
from nnreg.builtin.layers import (
    adaptive_pooling,
    attention,
    augmentation,
    bilinear,
    composition,
    convolution,
    dense,
    depthwise_convolution,
    dot_product_attention,
    einsum_dense,
    gating,
    global_pooling,
    group_normalization,
    joins,
    maxout,
    noise,
    normalization,
    pooling,
    positions,
    recurrent,
    rescaling,
    row_normalization,
    sampling,
    sequence,
    shapes,
    spectral_norm,
    transformer,
    transposed_convolution,
    wrappers,
)
from nnreg.hookspecs import hookimpl
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.augmentation import Augmentation
from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.encoder import Encoder
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.regularizer import Regularizer
from nnreg.interfaces.schedule import Schedule
from nnreg.interfaces.source import Source


@hookimpl
def nnreg_activations() -> Mapping[str, type[Activation]]:
    """Return the built-in activations."""
    return {
        "identity": activations.Identity,
        "relu": activations.Relu,
        "leaky_relu": activations.LeakyRelu,
        "sigmoid": activations.Sigmoid,
        "tanh": activations.Tanh,
        "softmax": activations.Softmax,
        "elu": activations.Elu,
        "selu": activations.Selu,
        "gelu": activations.Gelu,
        "silu": activations.Silu,
        "softplus": activations.Softplus,
        "softsign": activations.Softsign,
        "celu": activations.Celu,
        "exponential": activations.Exponential,
        "hard_shrink": activations.HardShrink,
        "hard_sigmoid": activations.HardSigmoid,
        "hard_silu": activations.HardSilu,
        "hard_tanh": activations.HardTanh,
        "log_sigmoid": activations.LogSigmoid,
        "log_softmax": activations.LogSoftmax,
        "mish": activations.Mish,
        "prelu": activations.PRelu,
        "relu6": activations.Relu6,
        "snake": activations.Snake,
        "soft_shrink": activations.SoftShrink,
        "softmin": activations.Softmin,
        "sparse_plus": activations.SparsePlus,
        "sparse_sigmoid": activations.SparseSigmoid,
        "sparsemax": activations.Sparsemax,
        "squareplus": activations.Squareplus,
        "tanh_shrink": activations.TanhShrink,
        "threshold": activations.Threshold,
    }


@hookimpl
def nnreg_losses() -> Mapping[str, type[Loss]]:
    """Return the built-in losses."""
    return {
        "mean_squared_error": losses.MeanSquaredError,
        "mean_absolute_error": losses.MeanAbsoluteError,
        "huber": losses.Huber,
        "binary_cross_entropy": losses.BinaryCrossEntropy,
        "cross_entropy": losses.CrossEntropy,
        "quantile": losses.Quantile,
        "gaussian_nll": losses.GaussianNll,
        "value": losses.Value,
        "binary_focal_cross_entropy": losses.BinaryFocalCrossEntropy,
        "categorical_hinge": losses.CategoricalHinge,
        "contrastive": losses.Contrastive,
        "cosine_similarity": losses.CosineSimilarity,
        "ctc": losses.Ctc,
        "dice": losses.Dice,
        "focal_cross_entropy": losses.FocalCrossEntropy,
        "generalized_cross_entropy": losses.GeneralizedCrossEntropy,
        "hinge": losses.Hinge,
        "kl_divergence": losses.KlDivergence,
        "log_cosh": losses.LogCosh,
        "mean_absolute_percentage_error": losses.MeanAbsolutePercentageError,
        "mean_squared_logarithmic_error": losses.MeanSquaredLogarithmicError,
        "multi_margin": losses.MultiMargin,
        "nll": losses.Nll,
        "poisson": losses.Poisson,
        "smooth_l1": losses.SmoothL1,
        "squared_hinge": losses.SquaredHinge,
        "triplet_margin": losses.TripletMargin,
        "tversky": losses.Tversky,
    }


@hookimpl
def nnreg_layers() -> Mapping[str, type[Layer]]:
    """Return the built-in layers."""
    return {
        "dense": dense.Dense,
        "dropout": dense.Dropout,
        "flatten": dense.Flatten,
        "activation": dense.ActivationLayer,
        "glu": gating.Glu,
        "rrelu": gating.RRelu,
        "batch_norm": normalization.BatchNorm,
        "layer_norm": normalization.LayerNorm,
        "conv1d": convolution.Conv1d,
        "conv2d": convolution.Conv2d,
        "conv3d": convolution.Conv3d,
        "conv1d_transpose": transposed_convolution.Conv1dTranspose,
        "conv2d_transpose": transposed_convolution.Conv2dTranspose,
        "conv3d_transpose": transposed_convolution.Conv3dTranspose,
        "depthwise_conv1d": depthwise_convolution.DepthwiseConv1d,
        "depthwise_conv2d": depthwise_convolution.DepthwiseConv2d,
        "separable_conv1d": depthwise_convolution.SeparableConv1d,
        "separable_conv2d": depthwise_convolution.SeparableConv2d,
        "max_pool1d": pooling.MaxPool1d,
        "max_pool2d": pooling.MaxPool2d,
        "max_pool3d": pooling.MaxPool3d,
        "average_pool1d": pooling.AveragePool1d,
        "average_pool2d": pooling.AveragePool2d,
        "average_pool3d": pooling.AveragePool3d,
        "global_average_pool": global_pooling.GlobalAveragePool,
        "global_average_pool1d": global_pooling.GlobalAveragePool1d,
        "global_average_pool2d": global_pooling.GlobalAveragePool2d,
        "global_average_pool3d": global_pooling.GlobalAveragePool3d,
        "global_max_pool": global_pooling.GlobalMaxPool,
        "global_max_pool1d": global_pooling.GlobalMaxPool1d,
        "global_max_pool2d": global_pooling.GlobalMaxPool2d,
        "global_max_pool3d": global_pooling.GlobalMaxPool3d,
        "adaptive_average_pool1d": adaptive_pooling.AdaptiveAveragePool1d,
        "adaptive_average_pool2d": adaptive_pooling.AdaptiveAveragePool2d,
        "adaptive_average_pool3d": adaptive_pooling.AdaptiveAveragePool3d,
        "adaptive_max_pool1d": adaptive_pooling.AdaptiveMaxPool1d,
        "adaptive_max_pool2d": adaptive_pooling.AdaptiveMaxPool2d,
        "adaptive_max_pool3d": adaptive_pooling.AdaptiveMaxPool3d,
        "reshape": shapes.Reshape,
        "permute": shapes.Permute,
        "repeat_vector": shapes.RepeatVector,
        "up_sampling1d": shapes.UpSampling1d,
        "up_sampling2d": shapes.UpSampling2d,
        "up_sampling3d": shapes.UpSampling3d,
        "zero_padding1d": shapes.ZeroPadding1d,
        "zero_padding2d": shapes.ZeroPadding2d,
        "zero_padding3d": shapes.ZeroPadding3d,
        "cropping1d": shapes.Cropping1d,
        "cropping2d": shapes.Cropping2d,
        "cropping3d": shapes.Cropping3d,
        "random_contrast": augmentation.RandomContrast,
        "random_crop": augmentation.RandomCrop,
        "random_flip": augmentation.RandomFlip,
        "random_rotation": augmentation.RandomRotation,
        "random_translation": augmentation.RandomTranslation,
        "random_zoom": augmentation.RandomZoom,
        "embedding": sequence.Embedding,
        "simple_rnn": recurrent.SimpleRnn,
        "gru": recurrent.Gru,
        "lstm": sequence.Lstm,
        "bidirectional": wrappers.Bidirectional,
        "time_distributed": wrappers.TimeDistributed,
        "add_position": positions.AddPosition,
        "multi_head_attention": attention.MultiHeadAttention,
        "cross_attention": dot_product_attention.CrossAttention,
        "attention": dot_product_attention.Attention,
        "grouped_query_attention": attention.GroupedQueryAttention,
        "rotary_positions": positions.RotaryPositions,
        "transformer_encoder": transformer.TransformerEncoder,
        "transformer_decoder": transformer.TransformerDecoder,
        "gaussian_sample": sampling.GaussianSample,
        "residual": composition.Residual,
        "stack": composition.Stack,
        "add": joins.Add,
        "subtract": joins.Subtract,
        "multiply": joins.Multiply,
        "average": joins.Average,
        "maximum": joins.Maximum,
        "minimum": joins.Minimum,
        "concat": joins.Concat,
        "dot": joins.Dot,
        "distance": joins.Distance,
        "bilinear": bilinear.Bilinear,
        "maxout": maxout.Maxout,
        "einsum_dense": einsum_dense.EinsumDense,
        "group_norm": group_normalization.GroupNorm,
        "instance_norm": group_normalization.InstanceNorm,
        "rms_norm": row_normalization.RmsNorm,
        "unit_norm": row_normalization.UnitNorm,
        "spectral_norm": spectral_norm.SpectralNorm,
        "alpha_dropout": noise.AlphaDropout,
        "gaussian_dropout": noise.GaussianDropout,
        "gaussian_noise": noise.GaussianNoise,
        "spatial_dropout1d": noise.SpatialDropout1d,
        "spatial_dropout2d": noise.SpatialDropout2d,
        "spatial_dropout3d": noise.SpatialDropout3d,
        "rescaling": rescaling.Rescaling,
    }


@hookimpl
def nnreg_optimizers() -> Mapping[str, type[Optimizer]]:
    """Return the built-in optimizers."""
    return {
        "sgd": optimizers.Sgd,
        "adam": optimizers.Adam,
        "adamw": optimizers.AdamW,
        "rmsprop": optimizers.RmsProp,
        "adadelta": optimizers.Adadelta,
        "adafactor": optimizers.Adafactor,
        "adagrad": optimizers.Adagrad,
        "adamax": optimizers.Adamax,
        "ftrl": optimizers.Ftrl,
        "lamb": optimizers.Lamb,
        "lbfgs": optimizers.Lbfgs,
        "lion": optimizers.Lion,
        "lookahead": optimizers.Lookahead,
        "muon": optimizers.Muon,
        "nadam": optimizers.NAdam,
        "radam": optimizers.RAdam,
        "sam": optimizers.Sam,
        "schedule_free_adamw": optimizers.ScheduleFreeAdamW,
    }


@hookimpl
def nnreg_schedules() -> Mapping[str, type[Schedule]]:
    """Return the built-in learning-rate schedules."""
    return {
        "constant": schedules.Constant,
        "step": schedules.StepDecay,
        "exponential": schedules.Exponential,
        "cosine": schedules.Cosine,
        "polynomial": schedules.Polynomial,
        "one_cycle": schedules.OneCycle,
        "warmup": schedules.Warmup,
        "inverse_sqrt": schedules.InverseSqrt,
        "trapezoid": schedules.Trapezoid,
        "reduce_on_plateau": schedules.ReduceOnPlateau,
    }


@hookimpl
def nnreg_initializers() -> Mapping[str, type[Initializer]]:
    """Return the built-in initializers."""
    return {
        "zeros": initializers.Zeros,
        "ones": initializers.Ones,
        "constant": initializers.Constant,
        "normal": initializers.Normal,
        "uniform": initializers.Uniform,
        "glorot_normal": initializers.GlorotNormal,
        "glorot_uniform": initializers.GlorotUniform,
        "he_normal": initializers.HeNormal,
        "he_uniform": initializers.HeUniform,
        "lecun_normal": initializers.LecunNormal,
        "lecun_uniform": initializers.LecunUniform,
        "identity": initializers.Identity,
        "orthogonal": initializers.Orthogonal,
        "truncated_normal": initializers.TruncatedNormal,
        "variance_scaling": initializers.VarianceScaling,
    }


@hookimpl
def nnreg_regularizers() -> Mapping[str, type[Regularizer]]:
    """Return the built-in regularizers."""
    return {
        "l1": regularizers.L1,
        "l2": regularizers.L2,
        "l1_l2": regularizers.L1L2,
        "orthogonal": regularizers.Orthogonal,
    }


@hookimpl
def nnreg_constraints() -> Mapping[str, type[Constraint]]:
    """Return the built-in constraints."""
    return {
        "max_norm": constraints.MaxNorm,
        "unit_norm": constraints.UnitNorm,
        "min_max_norm": constraints.MinMaxNorm,
        "non_negative": constraints.NonNegativeValues,
    }


@hookimpl
def nnreg_augmentations() -> Mapping[str, type[Augmentation]]:
    """Return the built-in augmentations."""
    return {
        "mixup": augmentations.Mixup,
        "cutmix": augmentations.Cutmix,
    }


@hookimpl
def nnreg_metrics() -> Mapping[str, type[Metric]]:
    """Return the built-in metrics."""
    return {
        "accuracy": metrics.Accuracy,
        "mean_squared_error": metrics.MeanSquaredErrorMetric,
        "mean_absolute_error": metrics.MeanAbsoluteErrorMetric,
        "r2": metrics.R2,
        "precision": metrics.Precision,
        "recall": metrics.Recall,
        "f1": metrics.F1,
        "auc": metrics.Auc,
        "top_k_accuracy": metrics.TopKAccuracy,
        "balanced_accuracy": metrics.BalancedAccuracy,
        "brier": metrics.Brier,
        "calibration_error": metrics.CalibrationError,
        "cohen_kappa": metrics.CohenKappa,
        "f_beta": metrics.FBeta,
        "log_loss": metrics.LogLoss,
        "matthews": metrics.Matthews,
        "mean_iou": metrics.MeanIou,
        "pearson": metrics.Pearson,
        "precision_at_recall": metrics.PrecisionAtRecall,
        "recall_at_precision": metrics.RecallAtPrecision,
        "root_mean_squared_error": metrics.RootMeanSquaredError,
        "spearman": metrics.Spearman,
        "specificity": metrics.Specificity,
    }


@hookimpl
def nnreg_kernels() -> Mapping[str, type[Kernels]]:
    """Return the kernels in NumPy."""
    return {"numpy": Kernels}


@hookimpl
def nnreg_sources() -> Mapping[str, type[Source]]:
    """Return the built-in data sources."""
    return {
        "csv": sources.Csv,
        "tsv": sources.Tsv,
        "npz": sources.Npz,
        "hdf5": sources.Hdf5,
        "idx": sources.Idx,
        "images": sources.Images,
        "parquet": sources.Parquet,
    }


@hookimpl
def nnreg_encoders() -> Mapping[str, type[Encoder]]:
    """Return the built-in encoders of columns."""
    return {
        "number": encoders.Number,
        "category": encoders.Category,
        "values": encoders.Values,
    }
