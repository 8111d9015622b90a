"""Aliasing: how far pictures determine the labels by which success is judged.

In: tasks. Out: a measurement of each, a table and a page.
"""
