"""Benchmarks: each hot path compared with a plain, obviously correct reference in the same run."""
