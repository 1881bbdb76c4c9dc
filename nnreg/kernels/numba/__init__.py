"""The inner loops compiled by Numba. Their modules import it: import them when first needed."""
