"""The built-in components: where each name of a spec is defined.

A module is imported when a spec names one of its components, so that a new family costs nothing to
those that do not use it.
"""

from __future__ import annotations

from collections.abc import Mapping

ACTIVATIONS: Mapping[str, str] = {
    "identity": "nnreg.builtin.activations.identity:Identity",
    "relu": "nnreg.builtin.activations.rectifiers:Relu",
    "leaky_relu": "nnreg.builtin.activations.rectifiers:LeakyRelu",
    "sigmoid": "nnreg.builtin.activations.sigmoids:Sigmoid",
    "tanh": "nnreg.builtin.activations.sigmoids:Tanh",
    "softmax": "nnreg.builtin.activations.softmax:Softmax",
    "elu": "nnreg.builtin.activations.exponential_units:Elu",
    "selu": "nnreg.builtin.activations.exponential_units:Selu",
    "gelu": "nnreg.builtin.activations.gated:Gelu",
    "silu": "nnreg.builtin.activations.gated:Silu",
    "softplus": "nnreg.builtin.activations.smooth:Softplus",
    "softsign": "nnreg.builtin.activations.sigmoids:Softsign",
    "celu": "nnreg.builtin.activations.exponential_units:Celu",
    "exponential": "nnreg.builtin.activations.exponential_units:Exponential",
    "hard_shrink": "nnreg.builtin.activations.shrinkage:HardShrink",
    "hard_sigmoid": "nnreg.builtin.activations.sigmoids:HardSigmoid",
    "hard_silu": "nnreg.builtin.activations.gated:HardSilu",
    "hard_tanh": "nnreg.builtin.activations.sigmoids:HardTanh",
    "log_sigmoid": "nnreg.builtin.activations.sigmoids:LogSigmoid",
    "log_softmax": "nnreg.builtin.activations.softmax:LogSoftmax",
    "mish": "nnreg.builtin.activations.gated:Mish",
    "prelu": "nnreg.builtin.activations.rectifiers:PRelu",
    "relu6": "nnreg.builtin.activations.rectifiers:Relu6",
    "snake": "nnreg.builtin.activations.smooth:Snake",
    "soft_shrink": "nnreg.builtin.activations.shrinkage:SoftShrink",
    "softmin": "nnreg.builtin.activations.softmax:Softmin",
    "sparse_plus": "nnreg.builtin.activations.smooth:SparsePlus",
    "sparse_sigmoid": "nnreg.builtin.activations.sigmoids:SparseSigmoid",
    "sparsemax": "nnreg.builtin.activations.softmax:Sparsemax",
    "squareplus": "nnreg.builtin.activations.smooth:Squareplus",
    "tanh_shrink": "nnreg.builtin.activations.shrinkage:TanhShrink",
    "threshold": "nnreg.builtin.activations.rectifiers:Threshold",
}

LOSSES: Mapping[str, str] = {
    "mean_squared_error": "nnreg.builtin.losses.errors:MeanSquaredError",
    "mean_absolute_error": "nnreg.builtin.losses.errors:MeanAbsoluteError",
    "huber": "nnreg.builtin.losses.errors:Huber",
    "binary_cross_entropy": "nnreg.builtin.losses.cross_entropy:BinaryCrossEntropy",
    "cross_entropy": "nnreg.builtin.losses.cross_entropy:CrossEntropy",
    "quantile": "nnreg.builtin.losses.distributions:Quantile",
    "gaussian_nll": "nnreg.builtin.losses.distributions:GaussianNll",
    "value": "nnreg.builtin.losses.value:Value",
    "binary_focal_cross_entropy": "nnreg.builtin.losses.focal:BinaryFocalCrossEntropy",
    "categorical_hinge": "nnreg.builtin.losses.margins:CategoricalHinge",
    "contrastive": "nnreg.builtin.losses.pairs:Contrastive",
    "cosine_similarity": "nnreg.builtin.losses.pairs:CosineSimilarity",
    "dice": "nnreg.builtin.losses.overlap:Dice",
    "focal_cross_entropy": "nnreg.builtin.losses.focal:FocalCrossEntropy",
    "generalized_cross_entropy": "nnreg.builtin.losses.probabilities:GeneralizedCrossEntropy",
    "hinge": "nnreg.builtin.losses.margins:Hinge",
    "kl_divergence": "nnreg.builtin.losses.probabilities:KlDivergence",
    "log_cosh": "nnreg.builtin.losses.errors:LogCosh",
    "mean_absolute_percentage_error": "nnreg.builtin.losses.errors:MeanAbsolutePercentageError",
    "mean_squared_logarithmic_error": "nnreg.builtin.losses.errors:MeanSquaredLogarithmicError",
    "multi_margin": "nnreg.builtin.losses.margins:MultiMargin",
    "nll": "nnreg.builtin.losses.probabilities:Nll",
    "poisson": "nnreg.builtin.losses.counts:Poisson",
    "smooth_l1": "nnreg.builtin.losses.errors:SmoothL1",
    "squared_hinge": "nnreg.builtin.losses.margins:SquaredHinge",
    "triplet_margin": "nnreg.builtin.losses.pairs:TripletMargin",
    "tversky": "nnreg.builtin.losses.overlap:Tversky",
}

LAYERS: Mapping[str, str] = {
    "dense": "nnreg.builtin.layers.dense:Dense",
    "dropout": "nnreg.builtin.layers.dense:Dropout",
    "flatten": "nnreg.builtin.layers.dense:Flatten",
    "activation": "nnreg.builtin.layers.dense:ActivationLayer",
    "glu": "nnreg.builtin.layers.gating:Glu",
    "rrelu": "nnreg.builtin.layers.gating:RRelu",
    "batch_norm": "nnreg.builtin.layers.normalization:BatchNorm",
    "layer_norm": "nnreg.builtin.layers.normalization:LayerNorm",
    "conv1d": "nnreg.builtin.layers.convolution:Conv1d",
    "conv2d": "nnreg.builtin.layers.convolution:Conv2d",
    "conv3d": "nnreg.builtin.layers.convolution:Conv3d",
    "conv1d_transpose": "nnreg.builtin.layers.transposed_convolution:Conv1dTranspose",
    "conv2d_transpose": "nnreg.builtin.layers.transposed_convolution:Conv2dTranspose",
    "conv3d_transpose": "nnreg.builtin.layers.transposed_convolution:Conv3dTranspose",
    "depthwise_conv1d": "nnreg.builtin.layers.depthwise_convolution:DepthwiseConv1d",
    "depthwise_conv2d": "nnreg.builtin.layers.depthwise_convolution:DepthwiseConv2d",
    "separable_conv1d": "nnreg.builtin.layers.depthwise_convolution:SeparableConv1d",
    "separable_conv2d": "nnreg.builtin.layers.depthwise_convolution:SeparableConv2d",
    "max_pool1d": "nnreg.builtin.layers.pooling:MaxPool1d",
    "max_pool2d": "nnreg.builtin.layers.pooling:MaxPool2d",
    "max_pool3d": "nnreg.builtin.layers.pooling:MaxPool3d",
    "average_pool1d": "nnreg.builtin.layers.pooling:AveragePool1d",
    "average_pool2d": "nnreg.builtin.layers.pooling:AveragePool2d",
    "average_pool3d": "nnreg.builtin.layers.pooling:AveragePool3d",
    "global_average_pool": "nnreg.builtin.layers.global_pooling:GlobalAveragePool",
    "global_average_pool1d": "nnreg.builtin.layers.global_pooling:GlobalAveragePool1d",
    "global_average_pool2d": "nnreg.builtin.layers.global_pooling:GlobalAveragePool2d",
    "global_average_pool3d": "nnreg.builtin.layers.global_pooling:GlobalAveragePool3d",
    "global_max_pool": "nnreg.builtin.layers.global_pooling:GlobalMaxPool",
    "global_max_pool1d": "nnreg.builtin.layers.global_pooling:GlobalMaxPool1d",
    "global_max_pool2d": "nnreg.builtin.layers.global_pooling:GlobalMaxPool2d",
    "global_max_pool3d": "nnreg.builtin.layers.global_pooling:GlobalMaxPool3d",
    "adaptive_average_pool1d": "nnreg.builtin.layers.adaptive_pooling:AdaptiveAveragePool1d",
    "adaptive_average_pool2d": "nnreg.builtin.layers.adaptive_pooling:AdaptiveAveragePool2d",
    "adaptive_average_pool3d": "nnreg.builtin.layers.adaptive_pooling:AdaptiveAveragePool3d",
    "adaptive_max_pool1d": "nnreg.builtin.layers.adaptive_pooling:AdaptiveMaxPool1d",
    "adaptive_max_pool2d": "nnreg.builtin.layers.adaptive_pooling:AdaptiveMaxPool2d",
    "adaptive_max_pool3d": "nnreg.builtin.layers.adaptive_pooling:AdaptiveMaxPool3d",
    "reshape": "nnreg.builtin.layers.shapes:Reshape",
    "permute": "nnreg.builtin.layers.shapes:Permute",
    "repeat_vector": "nnreg.builtin.layers.shapes:RepeatVector",
    "up_sampling1d": "nnreg.builtin.layers.shapes:UpSampling1d",
    "up_sampling2d": "nnreg.builtin.layers.shapes:UpSampling2d",
    "up_sampling3d": "nnreg.builtin.layers.shapes:UpSampling3d",
    "zero_padding1d": "nnreg.builtin.layers.shapes:ZeroPadding1d",
    "zero_padding2d": "nnreg.builtin.layers.shapes:ZeroPadding2d",
    "zero_padding3d": "nnreg.builtin.layers.shapes:ZeroPadding3d",
    "cropping1d": "nnreg.builtin.layers.shapes:Cropping1d",
    "cropping2d": "nnreg.builtin.layers.shapes:Cropping2d",
    "cropping3d": "nnreg.builtin.layers.shapes:Cropping3d",
    "embedding": "nnreg.builtin.layers.sequence:Embedding",
    "lstm": "nnreg.builtin.layers.sequence:Lstm",
    "add_position": "nnreg.builtin.layers.attention:AddPosition",
    "multi_head_attention": "nnreg.builtin.layers.attention:MultiHeadAttention",
    "cross_attention": "nnreg.builtin.layers.attention:CrossAttention",
    "gaussian_sample": "nnreg.builtin.layers.sampling:GaussianSample",
    "residual": "nnreg.builtin.layers.composition:Residual",
    "stack": "nnreg.builtin.layers.composition:Stack",
    "add": "nnreg.builtin.layers.joins:Add",
    "subtract": "nnreg.builtin.layers.joins:Subtract",
    "multiply": "nnreg.builtin.layers.joins:Multiply",
    "average": "nnreg.builtin.layers.joins:Average",
    "maximum": "nnreg.builtin.layers.joins:Maximum",
    "minimum": "nnreg.builtin.layers.joins:Minimum",
    "concat": "nnreg.builtin.layers.joins:Concat",
    "dot": "nnreg.builtin.layers.joins:Dot",
    "distance": "nnreg.builtin.layers.joins:Distance",
}

OPTIMIZERS: Mapping[str, str] = {
    "sgd": "nnreg.builtin.optimizers:Sgd",
    "adam": "nnreg.builtin.optimizers:Adam",
    "adamw": "nnreg.builtin.optimizers:AdamW",
    "rmsprop": "nnreg.builtin.optimizers:RmsProp",
}

SCHEDULES: Mapping[str, str] = {
    "constant": "nnreg.builtin.schedules:Constant",
    "step": "nnreg.builtin.schedules:StepDecay",
    "exponential": "nnreg.builtin.schedules:Exponential",
    "cosine": "nnreg.builtin.schedules:Cosine",
    "polynomial": "nnreg.builtin.schedules:Polynomial",
    "one_cycle": "nnreg.builtin.schedules:OneCycle",
    "warmup": "nnreg.builtin.schedules:Warmup",
    "reduce_on_plateau": "nnreg.builtin.schedules:ReduceOnPlateau",
}

INITIALIZERS: Mapping[str, str] = {
    "zeros": "nnreg.builtin.initializers:Zeros",
    "ones": "nnreg.builtin.initializers:Ones",
    "constant": "nnreg.builtin.initializers:Constant",
    "normal": "nnreg.builtin.initializers:Normal",
    "uniform": "nnreg.builtin.initializers:Uniform",
    "glorot_normal": "nnreg.builtin.initializers:GlorotNormal",
    "glorot_uniform": "nnreg.builtin.initializers:GlorotUniform",
    "he_normal": "nnreg.builtin.initializers:HeNormal",
    "he_uniform": "nnreg.builtin.initializers:HeUniform",
    "lecun_normal": "nnreg.builtin.initializers:LecunNormal",
    "lecun_uniform": "nnreg.builtin.initializers:LecunUniform",
}

REGULARIZERS: Mapping[str, str] = {
    "l1": "nnreg.builtin.regularizers:L1",
    "l2": "nnreg.builtin.regularizers:L2",
    "l1_l2": "nnreg.builtin.regularizers:L1L2",
    "orthogonal": "nnreg.builtin.regularizers:Orthogonal",
}

CONSTRAINTS: Mapping[str, str] = {
    "max_norm": "nnreg.builtin.constraints:MaxNorm",
    "unit_norm": "nnreg.builtin.constraints:UnitNorm",
    "min_max_norm": "nnreg.builtin.constraints:MinMaxNorm",
    "non_negative": "nnreg.builtin.constraints:NonNegativeValues",
}

METRICS: Mapping[str, str] = {
    "accuracy": "nnreg.builtin.metrics:Accuracy",
    "mean_squared_error": "nnreg.builtin.metrics:MeanSquaredErrorMetric",
    "mean_absolute_error": "nnreg.builtin.metrics:MeanAbsoluteErrorMetric",
    "r2": "nnreg.builtin.metrics:R2",
    "precision": "nnreg.builtin.metrics:Precision",
    "recall": "nnreg.builtin.metrics:Recall",
    "f1": "nnreg.builtin.metrics:F1",
    "auc": "nnreg.builtin.metrics:Auc",
    "top_k_accuracy": "nnreg.builtin.metrics:TopKAccuracy",
}

KERNELS: Mapping[str, str] = {
    "numpy": "nnreg.interfaces.kernels:Kernels",
}

SOURCES: Mapping[str, str] = {
    "csv": "nnreg.builtin.sources.delimited:Csv",
    "tsv": "nnreg.builtin.sources.delimited:Tsv",
    "npz": "nnreg.builtin.sources.arrays:Npz",
    "hdf5": "nnreg.builtin.sources.arrays:Hdf5",
    "idx": "nnreg.builtin.sources.idx:Idx",
    "images": "nnreg.builtin.sources.images:Images",
    "parquet": "nnreg.builtin.sources.parquet:Parquet",
}

ENCODERS: Mapping[str, str] = {
    "number": "nnreg.builtin.encoders:Number",
    "category": "nnreg.builtin.encoders:Category",
    "values": "nnreg.builtin.encoders:Values",
}
