"""Training: the loop over epochs, gradients, optimizer updates, evaluation and history."""
