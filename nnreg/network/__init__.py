"""A network: layers over one flat vector of parameters and one of gradients."""
