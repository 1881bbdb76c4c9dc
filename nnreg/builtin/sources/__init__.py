"""The built-in data sources, one module per family of formats."""
