"""Image-goal reaching for Gymnasium; importing the package registers ``glamor/…`` environments.

The import is light: agents and simulators (PyTorch, MuJoCo) are imported when first used. It also
adds the package to what multiprocessing's fork server preloads, so that its workers know the ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from glamor_gym.lazy import lazy_names
from glamor_gym.registration import register_envs, register_in_workers

if TYPE_CHECKING:
    from glamor_gym.agents import CheckpointCallback, DiscernAgent, GCSLAgent, GlamorAgent
    from glamor_gym.agents.zoo import register_zoo
    from glamor_gym.conformance import CheckReport, check_agent, check_goal_env
    from glamor_gym.evaluation import evaluate
    from glamor_gym.replay import HindsightFrameBuffer

__version__ = "0.1.0"

__all__ = [
    "CheckReport",
    "CheckpointCallback",
    "DiscernAgent",
    "GCSLAgent",
    "GlamorAgent",
    "HindsightFrameBuffer",
    "__version__",
    "check_agent",
    "check_goal_env",
    "evaluate",
    "register_zoo",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "agents": ["CheckpointCallback", "DiscernAgent", "GCSLAgent", "GlamorAgent"],
        "agents.zoo": ["register_zoo"],
        "conformance": ["CheckReport", "check_agent", "check_goal_env"],
        "evaluation": ["evaluate"],
        "replay": ["HindsightFrameBuffer"],
    },
)

register_envs()
register_in_workers()
