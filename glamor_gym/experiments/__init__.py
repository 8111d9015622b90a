"""Experiments: the table of algorithms, single runs, and benchmarks and ablations of many runs.

In: specs of runs (:class:`~glamor_gym.experiments.spec.RunSpec`). Out: run folders, and results
over many runs. Importing this package imports neither PyTorch nor a simulator.
"""

from glamor_gym.experiments.algorithm_kinds import Algorithm
from glamor_gym.experiments.algorithms import ALGORITHMS, get_algorithm, preset_for
from glamor_gym.experiments.spec import RunSpec

__all__ = ["ALGORITHMS", "Algorithm", "RunSpec", "get_algorithm", "preset_for"]
