"""Writing a model as a file that computes its predictions without nnreg."""
