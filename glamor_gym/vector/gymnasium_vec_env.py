"""Gymnasium's vector environments with the interface of Stable-Baselines3's.

In: a Gymnasium ``VectorEnv`` that resets its environments in the step that ends an episode or in
the one after. Out: an SB3 ``VecEnv``.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import (
    AsyncVectorEnv,
    AutoresetMode,
    SyncVectorEnv,
    VectorEnv,
    VectorWrapper,
)
from gymnasium.wrappers.vector import DictInfoToList
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from glamor_gym.vector.rows import row_of


class GymnasiumVecEnv(VecEnv):
    """A Gymnasium vector environment with the interface of an SB3 one.

    SB3 resets an environment in the same step that ended its episode. Gymnasium's vectors do so
    with ``AutoresetMode.SAME_STEP``; with ``NEXT_STEP``, their default, they would in the step
    after, and are reset here in time, with ``options={"reset_mask": …}``. Observations are fresh
    arrays.

    Args:
        env: the vector environment, with either mode. It is changed in place: one that was made
            with ``copy=False`` gets ``copy=True``; and between it and the wrappers around it comes
            one that copies options, so that they see the mask, too.

    Raises:
        ValueError: the vector environment does not reset its environments automatically, or is
            wrapped in ``DictInfoToList``; or, when it is stepped, it resets more environments than
            the mask selects.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        self.env = env
        mode = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        if mode == AutoresetMode.DISABLED:
            raise ValueError(
                "env has autoreset_mode DISABLED; make it with AutoresetMode.SAME_STEP"
            )
        wrappers = _wrappers(env)
        if any(isinstance(wrapper, DictInfoToList) for wrapper in wrappers):
            raise ValueError(
                "env must tell its infos as a dict of arrays: leave out the wrapper DictInfoToList"
            )
        self._resets_next_step = mode == AutoresetMode.NEXT_STEP
        if self._resets_next_step and wrappers and not isinstance(wrappers[-1], _OwnOptions):
            wrappers[-1].env = _OwnOptions(wrappers[-1].env)
        base = env.unwrapped
        if isinstance(base, SyncVectorEnv | AsyncVectorEnv):
            base.copy = True  # else a step overwrites the observations that replays are to store
        self._seed: int | None = None
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, dtype=np.int64)
        self._started = time.time()
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> VecEnvObs:
        """Reset every environment and return the first observations.

        Raises:
            ValueError: the options that were set are not the same for all environments.
        """
        options = self._options[0]
        if any(other != options for other in self._options):
            raise ValueError(
                f"options must be the same for all environments of a Gymnasium vector, "
                f"got {self._options}"
            )
        observations, infos = self.env.reset(seed=self._seed, options=options or None)
        self._seed = None
        self._reset_options()
        self._returns[:] = 0.0
        self._lengths[:] = 0
        self.reset_infos = _split(infos, self.num_envs)
        return observations  # type: ignore[no-any-return]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the next reset with `seed`, `seed` + 1 and so on."""
        self._seed = seed
        return [None if seed is None else seed + index for index in range(self.num_envs)]

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions until :meth:`step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all environments."""
        observations, rewards, terminated, truncated, infos = self.env.step(self._actions)
        final = infos.pop("final_obs", None)
        final_infos = infos.pop("final_info", None)
        dones = np.logical_or(terminated, truncated)
        rows = _split(infos, self.num_envs)
        if final_infos is not None:
            for index, row in enumerate(_split(final_infos, self.num_envs)):
                if dones[index]:
                    self.reset_infos[index], rows[index] = rows[index], row
        self._returns += rewards
        self._lengths += 1
        for index in map(int, np.flatnonzero(dones)):
            rows[index]["terminal_observation"] = (
                copy.deepcopy(row_of(observations, index)) if final is None else final[index]
            )
            rows[index]["TimeLimit.truncated"] = bool(truncated[index] and not terminated[index])
            rows[index]["episode"] = {
                "r": float(self._returns[index]),
                "l": int(self._lengths[index]),
                "t": time.time() - self._started,
            }
            self._returns[index], self._lengths[index] = 0.0, 0
        if self._resets_next_step and dones.any():
            observations = self._begin_anew(dones, observations)
        return observations, np.asarray(rewards, dtype=np.float32), dones, rows

    def _begin_anew(self, ended: NDArray[np.bool_], observations: VecEnvObs) -> VecEnvObs:
        """Reset the environments whose episodes have ended; return the observations of all."""
        begun, infos = self.env.reset(options={"reset_mask": ended.copy()})
        if not _same_rows(observations, begun, ~ended):
            raise ValueError(
                "env must reset the environments of options['reset_mask'] only: make it with "
                "AutoresetMode.SAME_STEP"
            )
        for index, info in enumerate(_split(infos, self.num_envs)):
            if ended[index]:
                self.reset_infos[index] = info
        return begun  # type: ignore[no-any-return]

    @property
    def episodes(self) -> dict[str, NDArray[Any]]:
        """The state of the running episodes, arrays (num_envs,) in copies; can be set."""
        return {
            "returns": self._returns.copy(),
            "lengths": self._lengths.copy(),
        }

    @episodes.setter
    def episodes(self, episodes: Mapping[str, NDArray[Any]]) -> None:
        self._returns[:], self._lengths[:] = episodes["returns"], episodes["lengths"]

    def close(self) -> None:
        """Close the vector environment."""
        self.env.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return a picture of each environment; None for each if the vector does not render."""
        pictures: Any = self.env.render()
        return [None] * self.num_envs if pictures is None else list(pictures)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of each environment, or of the vector if they share it.

        Raises:
            AttributeError: neither the environments nor the vector have it.
        """
        rows = self._get_indices(indices)
        base: Any = self.env.unwrapped  # vector wrappers do not forward attributes
        if isinstance(base, SyncVectorEnv):
            return [base.envs[index].get_wrapper_attr(attr_name) for index in rows]
        # An attribute that a vector's environments share is one of the vector's class, except for
        # its generators and their seeds; num_envs and the like are never requested here.
        is_shared = hasattr(type(base), attr_name) and not attr_name.startswith("np_random")
        if hasattr(base, "get_attr") and not is_shared:
            # Checked first: asking for a missing attribute ends Gymnasium's worker processes.
            if not all(base.call("has_wrapper_attr", attr_name)):
                raise AttributeError(f"the environments have no attribute {attr_name!r}")
            values = base.get_attr(attr_name)
            return [values[index] for index in rows]
        return [getattr(base, attr_name) for _ in rows]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of every environment.

        Raises:
            ValueError: `indices` is not None.
        """
        if indices is not None:
            raise ValueError(f"indices must be None for a Gymnasium vector, got {indices!r}")
        self.env.unwrapped.set_attr(attr_name, [value] * self.num_envs)  # type: ignore[attr-defined]

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call a method of each environment and return the results.

        Raises:
            ValueError: `indices` selects some environments of a vector that can only call a method
                of all, and the method may change them (its name does not begin with ``compute_``).
        """
        base: Any = self.env.unwrapped
        rows = self._get_indices(indices)
        if isinstance(base, SyncVectorEnv):
            methods = [base.envs[index].get_wrapper_attr(method_name) for index in rows]
            return [method(*method_args, **method_kwargs) for method in methods]
        if len(set(rows)) < self.num_envs and not method_name.startswith("compute_"):
            raise ValueError(
                f"indices must be None for {method_name!r} of a {type(base).__name__}, "
                f"got {indices!r}"
            )
        values = base.call(method_name, *method_args, **method_kwargs)
        return [values[index] for index in rows]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return whether each environment is wrapped: in SB3's ``Monitor``, as far as can be told.

        Its ``info["episode"]`` is given here; wrappers within a Gymnasium vector are not visible.
        """
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]


class _OwnOptions(VectorWrapper[Any, Any, Any, Any, Any]):
    """Gives the vector environment that it wraps a copy of the options of a reset.

    Gymnasium's vectors remove ``reset_mask`` from the options that they are given. Wrappers such as
    ``RecordEpisodeStatistics`` look for it afterwards, and would count from 0 again in all
    environments.
    """

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        return super().reset(seed=seed, options=None if options is None else dict(options))


def _wrappers(env: VectorEnv[Any, Any, Any]) -> list[VectorWrapper[Any, Any, Any, Any, Any]]:
    """Return the wrappers around a vector environment, the outermost first."""
    return [env, *_wrappers(env.env)] if isinstance(env, VectorWrapper) else []


def _same_rows(one: Any, other: Any, rows: NDArray[np.bool_]) -> bool:
    """Return whether some rows of two batches of observations are equal."""
    pairs = [(one[key], other[key]) for key in one] if isinstance(one, dict) else [(one, other)]
    return all(np.array_equal(a[rows], b[rows]) for a, b in pairs)


def _split(infos: dict[str, Any], n_envs: int) -> list[dict[str, Any]]:
    """Turn Gymnasium's dict of arrays (with ``_key`` masks) into a list of dicts."""
    rows: list[dict[str, Any]] = [{} for _ in range(n_envs)]
    for key, values in infos.items():
        if key.startswith("_"):
            continue
        present = infos.get(f"_{key}")
        split = _split(values, n_envs) if isinstance(values, dict) else values
        for index, row in enumerate(rows):
            if present is None or present[index]:
                row[key] = split[index]
    return rows
