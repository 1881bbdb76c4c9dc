"""Training one network with each compared library: Adam, cross-entropy, float32, shuffled rows.

A module has one function, `train(workload, x, y, epochs, checkpoint, on_epoch)`. It trains from
seed 0, or continues from the checkpoint if the directory of that name holds one, up to `epochs`
epochs in all. It calls `on_epoch` after each epoch, writes the checkpoint unless it is None, and
returns the weights as arrays.
"""

MODULES = {
    "nnreg": "own",
    "scikit-learn": "scikit_learn",
    "Keras": "keras_on_tensorflow",
    "Ludwig": "ludwig_config",
}
"""The module of each library, in the order of the columns."""
