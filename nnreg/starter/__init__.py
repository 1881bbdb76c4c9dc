"""`nnreg init`: a starter spec proposed from a data file."""
