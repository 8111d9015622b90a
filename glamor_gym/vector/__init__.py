"""Vectors of environments: many worlds stepped at once, for one agent that plans for all of them.

In: the goal environments of a task. Out: a Stable-Baselines3 ``VecEnv``, from
:func:`~glamor_gym.vector.collector.make_collector` for an id and from
:func:`~glamor_gym.vector.sb3.as_vec_env` for whatever a user holds. What makes the steps at once is
threads of ALE's (:mod:`~glamor_gym.vector.atari`) or processes (:mod:`~glamor_gym.vector.workers`).

Nothing of theirs is imported here, so that a vector of simulators starts without PyTorch.
"""

from typing import Literal

CollectorKind = Literal["auto", "in-process", "threads", "workers"]
"""Where the environments of an agent are stepped; see
:func:`~glamor_gym.vector.collector.make_collector`."""
