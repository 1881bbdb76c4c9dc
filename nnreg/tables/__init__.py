"""Tables of raw rows: columns of numbers, categories or arrays, in memory or in a file."""
