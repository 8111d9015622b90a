"""Agents: Stable-Baselines3 algorithms that learn to reach goals.

In: environments with goals. Out: actions, and files from which an agent can be loaded.

Read ``glamor``, ``gcsl`` and ``discern`` first: each holds one method's ``update``, ``collect`` and
``predict`` (or ``act``). One update of GLAMOR: ``learner.train`` draws a batch from
``replay.trajectory_replay``; ``glamor.update`` gets Equation 9 from ``models.glamor`` and has
``learner`` descend its gradient. The other modules support them:

* ``policy``, ``gcsl_policy``, ``discern_policy``, on ``model_policy``: networks and optimiser;
* ``learner``: the training loop; ``base``: saving and loading; ``reactive``: acting without plans;
* ``settings``, ``presets``: hyper-parameters;
* ``episodes``, ``plan_state``, ``observations``, ``suitability``, ``resets``, ``background``:
  helpers;
* ``saving``: agents as files, and checkpoints from which training continues exactly;
* ``checkpoint_callback``: when checkpoints are written, and how training ends;
* ``zoo``: use from RL Zoo.
"""

from glamor_gym.agents.checkpoint_callback import CheckpointCallback
from glamor_gym.agents.discern import DiscernAgent
from glamor_gym.agents.discern_policy import DiscernPolicy
from glamor_gym.agents.gcsl import GCSLAgent
from glamor_gym.agents.gcsl_policy import GCSLPolicy
from glamor_gym.agents.glamor import GlamorAgent
from glamor_gym.agents.plan_state import PlanState
from glamor_gym.agents.policy import GlamorPolicy
from glamor_gym.agents.saving.agent_file import AgentFileError
from glamor_gym.agents.saving.checkpoint_folder import CheckpointError
from glamor_gym.agents.settings import DiscernSettings, GCSLSettings, GlamorSettings
from glamor_gym.interruption import StopRequest, TrainingInterrupted

__all__ = [
    "AgentFileError",
    "CheckpointCallback",
    "CheckpointError",
    "DiscernAgent",
    "DiscernPolicy",
    "DiscernSettings",
    "GCSLAgent",
    "GCSLPolicy",
    "GCSLSettings",
    "GlamorAgent",
    "GlamorPolicy",
    "GlamorSettings",
    "PlanState",
    "StopRequest",
    "TrainingInterrupted",
]
