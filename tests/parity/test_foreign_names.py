"""Every public name of Keras and PyTorch gets a suggestion, or is among those that nnreg lacks."""

import functools
import inspect

import pytest

from nnreg.registry.foreign_names import meant
from tests.spec.test_foreign_names import KNOWN

pytestmark = pytest.mark.verify

LACKING = {
    "torch.nn": """
        AdaptiveLogSoftmaxWithLoss ChannelShuffle ConstantPad1d ConstantPad2d ConstantPad3d
        CosineEmbeddingLoss CrossMapLRN2d EmbeddingBag FeatureAlphaDropout Fold
        FractionalMaxPool2d FractionalMaxPool3d HingeEmbeddingLoss LPPool1d LPPool2d LPPool3d
        LinearCrossEntropyLoss LocalResponseNorm MarginRankingLoss MaxUnpool1d MaxUnpool2d
        MaxUnpool3d MultiLabelMarginLoss PixelShuffle PixelUnshuffle SoftMarginLoss Unfold
        UpsamplingBilinear2d
        Buffer Container DataParallel LinearCrossEntropyOptions Module ModuleDict Parameter
        ParameterDict ParameterList RNNBase RNNCellBase UninitializedBuffer UninitializedParameter
    """,
    "torch.optim": "Rprop Optimizer",
    "torch.optim.lr_scheduler": """
        ChainedScheduler LambdaLR MultiplicativeLR LRScheduler Optimizer
    """,
    "torch.nn.init": "dirac_ sparse_",
    "keras.layers": """
        ActivityRegularization AdditiveAttention AugMix AutoContrast CenterCrop
        ContrastLimitedAdaptiveHistogramEqualization ConvLSTM1D ConvLSTM2D ConvLSTM3D
        Discretization Equalization HashedCrossing Hashing Lambda MaxNumBoundingBoxes
        MelSpectrogram Pipeline RandAugment RandomBrightness RandomColorDegeneration
        RandomColorJitter RandomElasticTransform RandomErasing RandomGaussianBlur RandomGrayscale
        RandomHue RandomInvert RandomPerspective RandomPosterization RandomSaturation
        RandomSharpness RandomShear Resizing STFTSpectrogram Solarization StackedRNNCells
        TextVectorization
        FlaxLayer InputSpec JaxLayer Layer TFSMLayer TorchModuleWrapper Wrapper
    """,
    "keras.losses": "Circle circle Loss",
    "keras.optimizers": "LossScaleOptimizer MultiOptimizer Optimizer OptimizerMap",
    "keras.optimizers.schedules": "InverseTimeDecay LearningRateSchedule",
    "keras.activations": "",
    "keras.initializers": "STFT STFTInitializer stft Initializer",
    "keras.metrics": """
        ConcordanceCorrelation concordance_correlation FalseNegatives FalsePositives LogCoshError
        SensitivityAtSpecificity SpecificityAtSensitivity TrueNegatives TruePositives
        Mean MeanMetricWrapper Metric Sum
    """,
    "keras.regularizers": "Regularizer",
    "keras.constraints": "Constraint",
}
"""What nnreg does not have, and base classes, by the module."""

KINDS = {
    "torch.optim": "optimizer",
    "torch.optim.lr_scheduler": "schedule",
    "torch.nn.init": "initializer",
    "keras.layers": "layer",
    "keras.losses": "loss",
    "keras.optimizers": "optimizer",
    "keras.optimizers.schedules": "schedule",
    "keras.activations": "activation",
    "keras.initializers": "initializer",
    "keras.metrics": "metric",
    "keras.regularizers": "regularizer",
    "keras.constraints": "constraint",
}


def public_names(library, name):
    """Return the public classes of a module, and its functions that are components."""
    module = functools.reduce(getattr, name.split(".")[1:], library)
    public = {one: value for one, value in vars(module).items() if not one.startswith("_")}
    classes = [one for one, value in public.items() if inspect.isclass(value)]
    functions = [one for one, value in public.items() if inspect.isfunction(value)]
    if name == "torch.nn.init":
        return [one for one in functions if one.endswith("_")]
    if name.startswith("torch"):
        return [one for one in classes if public[one].__module__.startswith("torch.")]
    return classes + [one for one in functions if one not in ("get", "serialize", "deserialize")]


@pytest.mark.parametrize("name", LACKING)
def test_each_public_name_is_suggested_or_listed(name, request):
    library = request.getfixturevalue(name.partition(".")[0])  # conftest.py says how to import it
    found = public_names(library, name)
    assert len(found) >= 2
    kinds = {one: KINDS.get(name) or ("loss" if "Loss" in one else "layer") for one in found}
    without = {one for one in found if not meant(kinds[one], one, KNOWN)}
    assert without <= set(LACKING[name].split())  # other versions may lack some of the list
