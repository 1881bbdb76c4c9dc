"""A job with scikit-learn: `python -m benchmarks.jobs.scikit_learn penguins`.

It has no dropout, and monitors the accuracy on its own validation split.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.jobs.data import from_command_line, report

warnings.simplefilter("ignore", ConvergenceWarning)  # limited to the given epochs
job, train, validation, test = from_command_line()
network = MLPClassifier(
    (job.hidden,),
    alpha=0,
    learning_rate_init=job.rate,
    batch_size=job.batch,
    max_iter=job.epochs,
    early_stopping=True,
    validation_fraction=job.validation / (1 - job.test),
    n_iter_no_change=job.patience,
    random_state=0,
)
network.fit(*map(np.concatenate, zip(train, validation, strict=True)))
report(network.score(*test), network.n_iter_)
