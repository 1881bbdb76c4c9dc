"""`nnreg doctor`: checks of the installation, and a small training as a self-test."""
