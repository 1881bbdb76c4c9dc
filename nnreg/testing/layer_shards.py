"""The conformance check of layers that combine values of all shards of a batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nnreg._utils.threads import ThreadPool
from nnreg.testing.assertions import close
from nnreg.testing.layer_pass import LayerCase, Pass
from nnreg.training.exchange import Exchange, Member


def shards(case: LayerCase) -> None:
    """A batch that is divided has the outputs, the gradients and the buffers of the whole batch."""
    whole, middle = Pass(case), len(case.x) - 1
    y, dx = whole.run()
    parts = [Pass(replace(case, x=case.x[:middle])), Pass(replace(case, x=case.x[middle:]))]
    exchange = Exchange(len(parts), len(parts))
    for index, (part, dy) in enumerate(zip(parts, np.split(whole.dy, [middle]), strict=True)):
        part.context.workspace.shard = Member(exchange, index)
        part.dy = dy
    (y0, dx0), (y1, dx1) = exchange.run(ThreadPool(len(parts)), [part.run for part in parts])
    close(case, "the output of shards", np.concatenate([y0, y1]), y, 1e-12)
    if dx is not None and dx0 is not None and dx1 is not None:
        close(case, "the input gradient of shards", np.concatenate([dx0, dx1]), dx, 1e-11)
    first, second = parts
    close(case, "the gradient", first.gradient + second.gradient, whole.gradient, 1e-11)
    own, buffers = first.network.state_vector, whole.network.state_vector
    close(case, "the buffers, which the first shard updates", own, buffers, 1e-12)
    unchanged = Pass(case).network.state_vector
    close(case, "the buffers in the second shard", second.network.state_vector, unchanged, 0)
