"""Experiments: which algorithms there are, one run of one of them, and many runs side by side.

In: what is to be run (:class:`~glamor_gym.experiments.spec.RunSpec`). Out: folders of runs, and
what they come to together. Importing this starts neither PyTorch nor a simulator.
"""

from glamor_gym.experiments.algorithms import ALGORITHMS, Algorithm, get_algorithm
from glamor_gym.experiments.spec import RunSpec

__all__ = ["ALGORITHMS", "Algorithm", "RunSpec", "get_algorithm"]
