"""The base of the agents: the plumbing that they share, learning and files.

In: an agent. Out: a file to act with, a checkpoint to go on from, or the replay's trajectories; and
the agent back from each, with nothing executed that a file says. How it learns is in
:mod:`~glamor_gym.agents.learner`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch

from glamor_gym.agents.agent_file import as_half, build_agent, header_of, load_policy, tensors_of
from glamor_gym.agents.checkpoint_folder import CheckpointError, CheckpointFolder
from glamor_gym.agents.continuation import restore_agent, snapshot_agent
from glamor_gym.agents.learner import TrajectoryLearner
from glamor_gym.agents.packing import pack, unpack
from glamor_gym.agents.storage import AgentFileError, load_tensors, save_tensors
from glamor_gym.checks import as_instance
from glamor_gym.files import PathOrStream
from glamor_gym.vector.sb3 import AnyEnv, as_vec_env


class ImageGoalAgent(TrajectoryLearner):
    """An agent that learns to reach goals from whole trajectories, and that can be kept.

    Arguments, attributes and errors as for :class:`~glamor_gym.agents.learner.TrajectoryLearner`.
    """

    @cached_property
    def _checkpoints(self) -> dict[Path, str]:
        """Folder → digest of the checkpoint that was last written to it, or read from it."""
        return {}

    def overrides(self) -> dict[str, Any]:
        """Return changes made after construction, as JSON-able values; :meth:`save` keeps them."""
        return {}

    def apply_overrides(self, overrides: Mapping[str, Any]) -> None:
        """Apply what :meth:`overrides` returned.

        Raises:
            TypeError: there is no such thing to change, or it is of another type.
            ValueError: it is out of its range.
        """

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

        Weights, optimiser, settings, spaces and counters are kept; the replay is not (see
        :meth:`save_replay_buffer`).

        Args:
            path: where to; ``.safetensors`` is appended if it is missing, and takes the place of
                the ``.zip`` that SB3's callbacks give. Or a binary stream.
            exclude: names to leave out; only ``"optimizer"`` can be.
            include: SB3's; nothing else can be included.
            half: store numbers in half precision, which is enough to act with and takes half the
                space. The optimiser is left out then: what it divides by would become zero.
            packed: store large matrices in four bits a weight, see
                :mod:`~glamor_gym.agents.packing`, and the rest as `half` does.

        Raises:
            TypeError: `path` is neither a path nor a binary stream.
            ValueError: `path` cannot be written to, `exclude` or `include` asks for something
                else, or a number is too large for half precision.
            OSError: the file cannot be written.
        """
        left_out = set(() if exclude is None else exclude)
        if left_out - {"optimizer"} or (include is not None and list(include)):
            raise ValueError(
                f"only 'optimizer' can be excluded and nothing included; got "
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
        """Read an agent back from :meth:`save`. Nothing in the file is executed.

        Args:
            path: the file, with or without its suffix, or a binary stream that stands where one
                begins.
            env: to go on learning in; not needed to predict.
            device: where to put it.
            custom_objects: SB3's; there are none in such a file.
            print_system_info: SB3's; unused.
            force_reset: SB3's; a loaded agent always begins with a reset.
            **kwargs: settings that are to differ from the saved ones, or `verbose`, `seed`,
                `tensorboard_log`.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: it cannot be read.
            AgentFileError: the file is no saved agent, damaged, or another kind of agent.
            TypeError: a keyword is of the wrong type.
            ValueError: `env` has other spaces, or a keyword is unknown or out of range.
        """
        if custom_objects is not None and as_instance(custom_objects, dict, name="custom_objects"):
            raise ValueError(f"custom_objects must be empty, got {custom_objects!r}")
        tensors, header = load_tensors(path)
        vec_env = None if env is None else as_vec_env(env)
        try:
            return build_agent(cls, header, tensors, vec_env, device, kwargs)
        except torch.OutOfMemoryError:  # the device's fault, not the file's
            raise
        except TypeError as error:
            if kwargs:  # more likely at fault than the file; the message names which
                raise
            raise AgentFileError(f"path {str(path)!r} does not fit: {error}") from error
        except KeyError as error:
            raise AgentFileError(f"path {str(path)!r} does not fit: it lacks {error}") from error
        except (
            AgentFileError,
            AttributeError,
            MemoryError,
            OSError,
            OverflowError,
            RuntimeError,
        ) as error:
            raise AgentFileError(f"path {str(path)!r} does not fit: {error}") from error

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "policy.optimizer"], []

    def get_parameters(self) -> dict[str, dict[str, Any]]:
        """Return weights and optimiser as SB3 does, once the updates that are due were made."""
        self.finish_updates()
        return super().get_parameters()

    def set_parameters(
        self,
        load_path_or_dict: PathOrStream | dict[str, Any],
        exact_match: bool = True,
        device: torch.device | str = "auto",
    ) -> None:
        """Take weights and optimiser from a file of :meth:`save`, or from a dict as SB3 does.

        Where a file holds no optimiser (`half`, `packed`), the agent's own begins anew.

        Args:
            load_path_or_dict: the file, with or without its suffix, or a binary stream; or what
                `get_parameters` returned.
            exact_match: SB3's, for a dict; a file always has to match.
            device: SB3's, for a dict; tensors of a file go where the agent's are.

        Raises:
            FileNotFoundError: there is no such file.
            AgentFileError: it is no saved agent, or one with other networks.
            ValueError: the dict does not match.
        """
        if isinstance(load_path_or_dict, dict):
            self.finish_updates()
            super().set_parameters(load_path_or_dict, exact_match, device)
            return
        tensors, _ = load_tensors(load_path_or_dict)
        own = tensors_of(self)
        try:
            tensors = unpack(tensors, own)
            if _shapes(tensors, of="policy") != _shapes(own, of="policy"):
                raise RuntimeError("it holds other networks")
            load_policy(self, tensors)
        except (KeyError, RuntimeError) as error:
            raise AgentFileError(
                f"path {str(load_path_or_dict)!r} does not fit: {error}"
            ) from error

    def save_checkpoint(self, path: str | Path) -> None:
        """Write all that training needs to go on exactly, with the frames that are new.

        To be called between two steps, not from a callback's ``_on_step``;
        :class:`~glamor_gym.agents.CheckpointCallback` sees to that.

        Args:
            path: folder of this agent's checkpoints, see
                :class:`~glamor_gym.agents.checkpoint_folder.CheckpointFolder`.

        Raises:
            ValueError: the folder holds checkpoints of another agent.
            FloatingPointError: a weight is NaN or infinite.
            OSError: it cannot be written; the checkpoints that were there still are.
        """
        self.finish_updates()
        for name, tensor in tensors_of(self).items():
            if not torch.isfinite(tensor).all():
                raise FloatingPointError(
                    f"{name} is not finite at update {self._n_updates}; no checkpoint was written"
                )
        folder = Path(path).resolve()
        checkpoint = CheckpointFolder(folder).write(
            self.num_timesteps,
            snapshot_agent(self),
            self.replay_buffer,
            after=self._checkpoints.get(folder),
        )
        self._checkpoints[folder] = checkpoint.digest

    def has_checkpoint_in(self, path: str | Path) -> bool:
        """Return whether this agent was last written to, or read from, a folder that is there."""
        folder = Path(path).resolve()
        return folder in self._checkpoints and CheckpointFolder(folder).holds_checkpoints()

    @classmethod
    def load_checkpoint(
        cls,
        path: str | Path,
        env: AnyEnv | None = None,
        device: torch.device | str = "auto",
        **kwargs: Any,
    ) -> Self:
        """Read an agent back from :meth:`save_checkpoint`. Nothing in the files is executed.

        Then :meth:`resume`, or :meth:`learn` with ``reset_num_timesteps=False``, goes on as if
        the agent had never been interrupted: on CPU bit for bit, with the same number of threads.

        Args:
            path: the folder.
            env: made as the environment was in which the agent learned, as many of them; it is
                put back to where it was. Not needed to predict.
            device: where to put the agent.
            **kwargs: as in :meth:`load`.

        Raises:
            FileNotFoundError: there is no checkpoint.
            CheckpointError: all are damaged, or of another kind of agent.
            ValueError: `env` has other spaces or another number of environments, or a keyword is
                unknown.

        Warns:
            UserWarning: the newest checkpoint is damaged, and the one before it was taken; or
                what comes next cannot be exact.
        """
        folder = CheckpointFolder(path)
        checkpoint = folder.newest()
        vec_env = None if env is None else as_vec_env(env)
        try:
            snapshot = folder.read_state(checkpoint)
            header, tensors = snapshot["header"], snapshot["tensors"]
            agent = build_agent(cls, header, tensors, vec_env, device, kwargs)
            restore_agent(agent, snapshot)
            folder.read_frames(checkpoint, agent.replay_buffer)
            agent._pending_process_state = snapshot["process"]
        except torch.OutOfMemoryError:  # the device's fault, not the checkpoint's
            raise
        except (AgentFileError, KeyError, TypeError, RuntimeError) as error:
            raise CheckpointError(f"path {str(path)!r} does not fit: {error}") from error
        agent._checkpoints[Path(path).resolve()] = checkpoint.digest
        return agent

    def save_replay_buffer(self, path: PathOrStream) -> None:
        """Write the stored trajectories as a compressed ``.npz``, to a file or a binary stream.

        Raises:
            TypeError: `path` is neither a path nor a binary stream.
            ValueError: it cannot be written to.
            OSError: writing failed.
        """
        self.replay_buffer.save(path)

    def load_replay_buffer(self, path: PathOrStream, truncate_last_traj: bool = True) -> None:
        """Add the trajectories of :meth:`save_replay_buffer`'s file to the replay.

        Args:
            path: the file, or a binary stream.
            truncate_last_traj: SB3's; a replay of whole trajectories has nothing to truncate.

        Raises:
            TypeError: `path` is neither a path nor a binary stream.
            ValueError: the file is no saved replay, or one of other spaces.
        """
        self.replay_buffer.load(path)


def _shapes(tensors: Mapping[str, torch.Tensor], *, of: str) -> dict[str, torch.Size]:
    """Return the shapes of those tensors whose names begin with the name of a part."""
    return {name: tensor.shape for name, tensor in tensors.items() if name.partition(".")[0] == of}
