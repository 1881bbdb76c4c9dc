"""The registry of components: loading plugins, checking requirements, events, new plugins."""
