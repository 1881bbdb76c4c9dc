"""The tests, in directories that mirror the packages of nnreg."""
