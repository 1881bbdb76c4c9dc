"""The lines that compare nnreg with scikit-learn, Keras and Ludwig, for the README."""
