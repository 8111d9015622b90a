"""Ablations: a base, and variants of it that change one thing each, on a panel of tasks.

In: a preset and changes to it. Out: agents trained with each, and how much each change matters.
"""
