"""The executors of sweeps that come with nnreg."""
