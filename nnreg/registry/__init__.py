"""The registry of components: loading plugins, requirements, events, new plugins."""
