"""A job with Keras on JAX: `python -m benchmarks.jobs.keras_on_jax penguins`."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

from benchmarks.jobs.data import from_command_line, report

job, train, validation, test = from_command_line()
keras.utils.set_random_seed(0)
network = keras.Sequential([
    keras.layers.Dense(job.hidden, "relu", kernel_initializer="he_normal"),
    keras.layers.Dropout(job.dropout),
    keras.layers.Dense(int(train[1].max()) + 1, "softmax"),
])  # fmt: skip
network.compile(
    keras.optimizers.Adam(job.rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
)
history = network.fit(
    *train,
    batch_size=job.batch,
    epochs=job.epochs,
    validation_data=validation,
    callbacks=[keras.callbacks.EarlyStopping(patience=job.patience, restore_best_weights=True)],
    verbose=0,
)
report(network.evaluate(*test, verbose=0)[1], len(history.epoch))
