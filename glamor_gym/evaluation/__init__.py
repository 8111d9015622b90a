"""Evaluation: how often an agent reaches the fixed goals of a task.

In: an agent with Stable-Baselines3's ``predict``. Out: an
:class:`~glamor_gym.types.EvaluationResult`, curves, and the folder of a run. The names below are
imported when they are first used, so that a light part costs no import of PyTorch.
"""

from typing import TYPE_CHECKING

from glamor_gym.lazy import lazy_names

if TYPE_CHECKING:
    from glamor_gym.evaluation.baselines import NoopAgent, RandomAgent
    from glamor_gym.evaluation.callback import EvaluationCallback, StopAfter, record_result
    from glamor_gym.evaluation.evaluator import evaluate
    from glamor_gym.evaluation.intervals import newcombe_interval, wilson_interval
    from glamor_gym.evaluation.provenance import versions
    from glamor_gym.evaluation.result_file import load_result, save_result
    from glamor_gym.evaluation.run_folder import RunConfig, RunFolder
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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "baselines": ["NoopAgent", "RandomAgent"],
        "callback": ["EvaluationCallback", "StopAfter", "record_result"],
        "evaluator": ["evaluate"],
        "intervals": ["newcombe_interval", "wilson_interval"],
        "provenance": ["versions"],
        "result_file": ["load_result", "save_result"],
        "run_folder": ["RunConfig", "RunFolder"],
        "shortest_paths": ["shortest_path_rate"],
    },
)
