"""The processes, called ranks, that train one network together, perhaps on several machines."""
