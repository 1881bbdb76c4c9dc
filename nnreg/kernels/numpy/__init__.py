"""The inner loops in NumPy, a class for each subject. `nnreg.interfaces.Kernels` has them all."""
