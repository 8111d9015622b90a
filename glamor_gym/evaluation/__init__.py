"""Evaluation: how often an agent reaches the fixed goals of a task.

In: an agent with Stable-Baselines3's ``predict``. Out: an
:class:`~glamor_gym.types.EvaluationResult`, curves, and the folder of a run.
"""

from glamor_gym.evaluation.baselines import NoopAgent, RandomAgent
from glamor_gym.evaluation.callback import EvaluationCallback, StopAfter, record_result
from glamor_gym.evaluation.evaluator import evaluate
from glamor_gym.evaluation.intervals import newcombe_interval, wilson_interval
from glamor_gym.evaluation.result_file import load_result, save_result
from glamor_gym.evaluation.run_folder import RunConfig, RunFolder, versions
from glamor_gym.evaluation.shortest_paths import shortest_path_rate

__all__ = [
    "EvaluationCallback",
    "NoopAgent",
    "RandomAgent",
    "RunConfig",
    "RunFolder",
    "StopAfter",
    "evaluate",
    "load_result",
    "newcombe_interval",
    "record_result",
    "save_result",
    "shortest_path_rate",
    "versions",
    "wilson_interval",
]
