"""Benchmarks: each hot path against a plain, obviously right reference, in one run."""
