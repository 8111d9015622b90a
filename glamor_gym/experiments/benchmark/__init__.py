"""Benchmarks: algorithms × tasks × seeds, all with the same budget of steps and the same goals.

In: names of algorithms and tasks, seeds and a budget. Out: run folders, a table and a page.
"""
