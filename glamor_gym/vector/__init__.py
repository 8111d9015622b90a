"""Vector environments: many worlds stepped at once, for one agent that plans for all of them.

In: the goal environments of a task. Out: a Stable-Baselines3 ``VecEnv``, from
:func:`~glamor_gym.vector.collector.make_collector` for an id, or from
:func:`~glamor_gym.vector.sb3.as_vec_env` for any environment of the user's. Environments are
stepped in parallel by ALE's threads (:mod:`~glamor_gym.vector.threaded_atari`) or by worker
processes (:mod:`~glamor_gym.vector.workers`).

None of these modules is imported here, so that vectors of simulators start without PyTorch.
"""

from typing import Literal

CollectorKind = Literal["auto", "in-process", "threads", "workers"]
"""Where the environments of an agent are stepped; see
:func:`~glamor_gym.vector.collector.make_collector`."""
