"""The example models penguins and digits as the shortest script with each library.

`python -m benchmarks.jobs.pytorch digits` trains and prints the held-out accuracy and the number of
epochs as JSON. The scripts share `data`: reading the file, the split, the encoding of the columns.
Unlike `nnreg run`, they save nothing.
"""
