"""Benchmarks: this package against its peers, on the same machine, weights, number format and rows."""
