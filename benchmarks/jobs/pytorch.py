"""A job with PyTorch: `python -m benchmarks.jobs.pytorch penguins`."""

import copy
import math

import torch
from torch import nn

from benchmarks.jobs.data import from_command_line, report

job, *splits = from_command_line()
(x, y), validation, test = ([torch.from_numpy(array) for array in split] for split in splits)
torch.manual_seed(0)
network = nn.Sequential(
    nn.Linear(x.shape[1], job.hidden),
    nn.ReLU(),
    nn.Dropout(job.dropout),
    nn.Linear(job.hidden, int(y.max()) + 1),
)
nn.init.kaiming_normal_(network[0].weight)
optimizer = torch.optim.Adam(network.parameters(), job.rate)
cross_entropy = nn.CrossEntropyLoss()


@torch.inference_mode()
def measure(x, y):
    """Return the loss and the accuracy."""
    network.eval()
    z = network(x)
    network.train()
    return cross_entropy(z, y).item(), (z.argmax(1) == y).float().mean().item()


best, best_epoch, epoch = math.inf, 0, 0
weights = copy.deepcopy(network.state_dict())
while epoch < job.epochs and epoch - best_epoch < job.patience:
    epoch += 1
    for rows in torch.randperm(len(x)).split(job.batch):
        optimizer.zero_grad()
        cross_entropy(network(x[rows]), y[rows]).backward()
        optimizer.step()
    loss, _ = measure(*validation)
    if loss < best:
        best, best_epoch, weights = loss, epoch, copy.deepcopy(network.state_dict())
network.load_state_dict(weights)
report(measure(*test)[1], epoch)
