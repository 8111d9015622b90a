"""The base class of the agents: saving and loading, on top of the training loop.

In: an agent. Out: a file to act with, a checkpoint to resume training from, or the replay's
trajectories; and the agent back from each, without executing anything that a file contains. The
training loop itself is in :mod:`~glamor_gym.agents.learner`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import torch

from glamor_gym.agents.learner import TrajectoryLearner
from glamor_gym.agents.presets import Presets, make_preset
from glamor_gym.agents.saving.agent_file import AgentFileError, load_tensors, save_tensors
from glamor_gym.agents.saving.agent_parts import (
    as_half,
    build_agent,
    check_moments,
    header_of,
    load_policy,
    tensors_of,
)
from glamor_gym.agents.saving.agent_snapshot import restore_agent, snapshot_agent
from glamor_gym.agents.saving.checkpoint_folder import CheckpointError, CheckpointFolder
from glamor_gym.agents.saving.packing import pack
from glamor_gym.agents.saving.process import snapshot_process
from glamor_gym.checks import as_instance
from glamor_gym.files import PathOrStream, real_path
from glamor_gym.vector.sb3 import AnyEnv, as_vec_env

NEVER_SAVED = frozenset({"env", "logger", "replay_buffer"})
"""Parts of an agent that its file never holds."""

UNFIT = (AgentFileError, KeyError, RuntimeError, TypeError)
"""Errors of content that does not fit the agent."""


class ImageGoalAgent(TrajectoryLearner):
    """An agent that learns to reach goals from whole trajectories, and that can be saved.

    For arguments, attributes and errors see
    :class:`~glamor_gym.agents.learner.TrajectoryLearner`.
    """

    presets: ClassVar[Presets] = {}
    """Name → arguments of the agent, for :meth:`preset`."""

    @classmethod
    def preset(cls, name: str) -> dict[str, Any]:
        """Return the arguments of a named preset, see :mod:`glamor_gym.agents.presets`.

        Raises:
            ValueError: there is no such preset.
        """
        return make_preset(cls.presets, name)

    @cached_property
    def _checkpoints(self) -> dict[Path, str]:
        """Folder → digest of the checkpoint last written to it or read from it."""
        return {}

    def save(
        self,
        path: PathOrStream,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
        *,
        half: bool = False,
        packed: bool = False,
    ) -> None:
        """Write the agent to a file without pickles: tensors and a JSON header.

        Weights, optimiser, settings, spaces and counters are saved; the replay is not (see
        :meth:`save_replay_buffer`).

        Args:
            path: the file; ``.safetensors`` is appended if it is missing, and replaces the
                ``.zip`` that SB3's callbacks append. Or a binary stream.
            exclude: names of parts to leave out: ``"optimizer"``. Parts that are never in the file,
                such as ``"replay_buffer"``, may be named as well.
            include: SB3's; must be empty or None.
            half: store numbers in half precision, which is enough for acting and takes half the
                space. The optimiser is then left out: the small numbers that it divides by would
                become zero.
            packed: store large matrices at four bits per weight, see
                :mod:`~glamor_gym.agents.saving.packing`, and the rest as with `half`.

        Raises:
            TypeError: `path` is neither a path nor a binary stream, or `half` or `packed` is not a
                bool.
            ValueError: `path` is not writable, `exclude` or `include` names anything else, the
                policy class is not one of `policy_aliases`, or a number is too large for half
                precision.
            OSError: the file cannot be written.
        """
        left_out = set(() if exclude is None else exclude) - NEVER_SAVED
        if left_out - {"optimizer"} or (include is not None and list(include)):
            raise ValueError(
                f"exclude may only hold 'optimizer' and include nothing, got "
                f"exclude={sorted(left_out)}, include={include}"
            )
        packed = as_instance(packed, bool, name="packed")
        half = as_instance(half, bool, name="half") or packed
        if half:
            left_out.add("optimizer")
        tensors = {
            name: tensor
            for name, tensor in tensors_of(self).items()
            if name.partition(".")[0] not in left_out
        }
        if packed:
            tensors = pack(tensors)
        if half:
            tensors = {name: as_half(name, tensor) for name, tensor in tensors.items()}
        save_tensors(path, tensors, header_of(self))

    @classmethod
    def load(
        cls,
        path: PathOrStream,
        env: AnyEnv | None = None,
        device: torch.device | str = "auto",
        custom_objects: dict[str, Any] | None = None,
        print_system_info: bool = False,
        force_reset: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Load an agent that :meth:`save` wrote. Nothing in the file is executed.

        `verbose`, `tensorboard_log` and the attributes `overlap` and `plans_ahead` are not in the
        file: the loaded agent has their defaults.

        Args:
            path: the file, with or without its suffix, or a binary stream, read from its current
                position.
            env: environment to continue training in; not needed for :meth:`predict`.
            device: device of the loaded agent.
            custom_objects: SB3's; must be empty or None.
            print_system_info: SB3's; unused.
            force_reset: SB3's; unused, since a loaded agent always starts with a reset.
            **kwargs: settings that replace the saved ones, or `verbose`, `seed`,
                `stats_window_size`, `tensorboard_log`.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: the file cannot be read.
            AgentFileError: the file is not a saved agent, is damaged, or holds another kind of
                agent.
            TypeError: an argument is of the wrong type, or a keyword argument is unknown.
            ValueError: `env` has other spaces or another horizon, or a keyword argument is out of
                range.
        """
        if custom_objects is not None and as_instance(custom_objects, dict, name="custom_objects"):
            raise ValueError(f"custom_objects must be empty, got {custom_objects!r}")
        tensors, header = load_tensors(path)
        vec_env = None if env is None else as_vec_env(env)
        more = (AttributeError, MemoryError, OSError, OverflowError)
        with _fitting(path, kwargs, AgentFileError, (*UNFIT, *more)):
            return build_agent(cls, header, tensors, vec_env, device, kwargs)

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "policy.optimizer"], []

    def get_parameters(self) -> dict[str, dict[str, Any]]:
        """Return weights and optimiser state as SB3 does, once running updates have finished."""
        self.finish_updates()
        return super().get_parameters()

    def set_parameters(
        self,
        load_path_or_dict: PathOrStream | dict[str, Any],
        exact_match: bool = True,
        device: torch.device | str = "auto",
    ) -> None:
        """Load weights and optimiser from a file of :meth:`save`, or from a dict as SB3 does.

        If a file holds no optimiser state (`half`, `packed`), the agent's optimiser is reset.
        Nothing is changed unless everything fits.

        Args:
            load_path_or_dict: the file, with or without its suffix, or a binary stream; or what
                `get_parameters` returned.
            exact_match: SB3's, used for a dict; a file must always match exactly.
            device: SB3's, used for a dict; tensors of a file go to the agent's device.

        Raises:
            FileNotFoundError: there is no such file.
            AgentFileError: the file is not a saved agent, or holds one with other networks.
            RuntimeError: the dict holds the weights of other networks.
            ValueError: the dict does not match in another way.
        """
        if isinstance(load_path_or_dict, dict):
            before: dict[str, Any] = copy.deepcopy(self.get_parameters())
            parts = dict(load_path_or_dict)
            if (optimizer := parts.get("policy.optimizer")) is not None:
                # PyTorch would share its tensors with the agent that they come from.
                parts["policy.optimizer"] = copy.deepcopy(optimizer)
            try:
                super().set_parameters(parts, exact_match, device)
                check_moments(self.policy.optimizer)
            except BaseException:  # PyTorch loads what fits before it refuses the rest
                super().set_parameters(before)
                raise
            return
        tensors, _ = load_tensors(load_path_or_dict)
        self.finish_updates()
        with _fitting(load_path_or_dict, {}, AgentFileError):
            load_policy(self, tensors)

    def save_checkpoint(self, path: str | Path) -> None:
        """Write everything from which training continues exactly; only new frames are written.

        Call it between two steps, as :class:`~glamor_gym.agents.CheckpointCallback` does.

        Args:
            path: folder of this agent's checkpoints, see
                :class:`~glamor_gym.agents.saving.checkpoint_folder.CheckpointFolder`.

        Raises:
            ValueError: the folder holds checkpoints of another agent, or of another state of this
                one; or the policy class is not one of `policy_aliases`.
            FloatingPointError: a weight is NaN or infinite.
            RuntimeError: it is called within a step, such as from a callback's ``_on_step``.
            OSError: the checkpoint cannot be written; earlier ones are kept.
        """
        if self._in_step:
            raise RuntimeError(
                "within a step, episodes cannot be saved: use CheckpointCallback in place of "
                "save_checkpoint in a callback's _on_step"
            )
        self.finish_updates()
        snapshot = snapshot_agent(self)
        for name, tensor in snapshot["tensors"].items():
            if not torch.isfinite(tensor).all():
                raise FloatingPointError(
                    f"{name} is not finite at update {self._n_updates}; no checkpoint was written"
                )
        folder = real_path(path)
        checkpoint = CheckpointFolder(folder).write(
            self.num_timesteps, snapshot, self.replay_buffer, after=self._checkpoints.get(folder)
        )
        self._checkpoints[folder] = checkpoint.digest

    @classmethod
    def load_checkpoint(
        cls,
        path: str | Path,
        env: AnyEnv | None = None,
        device: torch.device | str = "auto",
        **kwargs: Any,
    ) -> Self:
        """Load an agent that :meth:`save_checkpoint` wrote. Nothing in the files is executed.

        Afterwards :meth:`resume`, or :meth:`learn` with ``reset_num_timesteps=False``, continues as
        if the agent had never been interrupted: on CPU bit for bit, with the same number of
        threads. As with :meth:`load`, `verbose`, `tensorboard_log`, `overlap` and `plans_ahead`
        have to be given again.

        Args:
            path: the folder.
            env: made in the same way as the training environment, with as many environments;
                their unfinished episodes are restored. Not needed for :meth:`predict`.
            device: device of the loaded agent.
            **kwargs: see :meth:`load`.

        Raises:
            FileNotFoundError: there is no checkpoint.
            CheckpointError: all checkpoints are damaged, or of another kind of agent.
            TypeError: an argument is of the wrong type, or a keyword argument is unknown.
            ValueError: `env` has other spaces, another horizon or another number of environments,
                or a keyword argument is out of range.

        Warns:
            UserWarning: the newest checkpoint is damaged and the one before it is used; or
                training cannot continue exactly.
        """
        folder = CheckpointFolder(path)
        checkpoint = folder.newest()
        vec_env = None if env is None else as_vec_env(env)
        with _fitting(path, kwargs, CheckpointError):
            snapshot = folder.read_state(checkpoint)
            header, tensors = snapshot["header"], snapshot["tensors"]
            agent = build_agent(cls, header, tensors, vec_env, device, kwargs)
            restore_agent(agent, snapshot)
            folder.read_frames(checkpoint, agent.replay_buffer)
            agent._pending_process_state = snapshot["process"]
            if "seed" in kwargs:
                agent.set_random_seed(agent.seed)
                random = snapshot_process(agent)
                agent._pending_process_state = {**random, "log": snapshot["process"]["log"]}
        agent._checkpoints[real_path(path)] = checkpoint.digest
        return agent

    def save_replay_buffer(self, path: PathOrStream) -> None:
        """Write the stored trajectories as a compressed ``.npz``, to a file or a binary stream.

        Raises:
            TypeError: `path` is neither a path nor a binary stream.
            ValueError: `path` is not writable.
            OSError: the file cannot be written.
        """
        self.replay_buffer.save(path)

    def load_replay_buffer(self, path: PathOrStream, truncate_last_traj: bool = True) -> None:
        """Add the trajectories of a file of :meth:`save_replay_buffer` to the replay.

        Args:
            path: the file, or a binary stream.
            truncate_last_traj: SB3's; unused, since the replay only holds whole trajectories.

        Raises:
            TypeError: `path` is neither a path nor a binary stream.
            ValueError: the file is not a saved replay, is one of other spaces, or holds more than
                fits the replay or trajectories longer than the agent's horizon.
            OSError: the file cannot be read.
        """
        self.replay_buffer.load(path)


@contextmanager
def _fitting(
    path: PathOrStream,
    arguments: Mapping[str, Any],
    error_class: type[ValueError],
    unfit: tuple[type[Exception], ...] = UNFIT,
) -> Iterator[None]:
    """Return a context for the use of what was saved, which words errors as `error_class`.

    Args:
        path: the file or folder.
        arguments: keyword arguments of the user, which a TypeError is about if there are any.
        error_class: the error for content that does not fit.
        unfit: the errors that mean that it does not fit.
    """
    try:
        yield
    except torch.OutOfMemoryError:  # the device's fault, not the file's
        raise
    except unfit as error:
        if isinstance(error, TypeError) and arguments:
            raise
        lacks = "it lacks " if isinstance(error, KeyError) else ""
        raise error_class(f"path {str(path)!r} does not fit: {lacks}{error}") from error
