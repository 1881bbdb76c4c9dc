"""General helpers: files, formatting, suggestions, threads, memory, signals, HDF5."""
