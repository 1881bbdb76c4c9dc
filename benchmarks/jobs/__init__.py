"""The ready models penguins and digits as the shortest script of each library.

`python -m benchmarks.jobs.pytorch digits` trains and prints the held-out accuracy and the number of
epochs as JSON. What the scripts have in common is in `data`: reading the file, the split, the
encoding of the columns. They save nothing, which `nnreg run` does.
"""
