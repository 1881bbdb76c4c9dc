"""The operations that a computation in NumPy consists of, recorded to be written elsewhere."""
