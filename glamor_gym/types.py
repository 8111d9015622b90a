"""The records that one part of the library passes to the next.

world → :class:`Goal` → replay: :class:`Trajectory` → :class:`SegmentBatch` → model
→ planner: :class:`Plan` → agent → evaluation: :class:`EvaluationResult`.

This module only defines data: it imports neither environments nor agents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # worlds and wrappers use these records without importing PyTorch
    import torch
    from jaxtyping import Float, Int

Labels = dict[str, float]
"""Entity positions by name, e.g. ``{"ball_x": 101.0, "ball_y": 62.0}``. Never read in training."""

GOAL_KEYS = ("observation", "achieved_goal", "desired_goal")
"""The entries that every observation of a goal environment has."""

GoalKind = Literal["screen", "state", "frame"]
"""How a goal is stored: a full-size screen, a physics state, or `desired_goal` itself."""


@runtime_checkable
class World(Protocol):
    """What the goal environment requires of a world beyond the Gymnasium API.

    A world is a :class:`gymnasium.Env` whose observation is a screen (uint8, ``(H, W)`` or
    ``(H, W, 3)``) or a flat float32 vector in [0, 1], and whose ``info["labels"]`` holds the
    entity labels *at the moment of that observation*.

    A world may also have what is not part of the protocol:

    * ``draw_observation(observation)`` returns an observation as a picture for display, uint8
      (H, W, 3); for vectors that a row of gray cells does not show well.
    * ``all_goals()`` lists every state as a :class:`Goal`; for worlds with few states, whose goal
      sets are then built without playing.
    * ``reset_options`` names the options that its ``reset`` takes, so that others are refused; of a
      world without it, all are passed on.
    """

    goal_kind: GoalKind

    def goal_content(self) -> NDArray[Any]:
        """Return what must be stored to show the present moment as a goal (a fresh array)."""
        ...

    def goal_screen(self, content: NDArray[Any]) -> NDArray[Any]:
        """Return `content` as the world would show it now, in the shape of an observation.

        The running episode is not affected.
        """
        ...


class _WithArrays:
    """Base of records that are equal if all their fields are; arrays are compared as a whole."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        pairs = ((getattr(self, name), getattr(other, name)) for name in vars(self))
        return all(
            np.array_equal(one, its)
            if isinstance(one, np.ndarray) or isinstance(its, np.ndarray)
            else one == its
            for one, its in pairs
        )

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable


@dataclass(frozen=True, eq=False)
class Goal(_WithArrays):
    """One goal: what to show, and the labels by which success is judged.

    Attributes:
        content: an array that depends on `kind`: ``"screen"``: uint8 (H, W), the world's
            full-size grayscale screen; ``"state"``: float64 (n,), a physics state;
            ``"frame"``: an array with the shape and dtype of `desired_goal`.
        kind: see `content`.
        labels: entity labels at the moment of the picture; None if they are unknown
            (success is then equality of pictures).
        lagged_labels: labels one step after the picture, which the authors' code compared with
            (``label_lag=1``); None if they are unknown.
        index: position in its goal set; None for a goal from elsewhere.
    """

    content: NDArray[Any]
    kind: GoalKind
    labels: Mapping[str, float] | None = None
    lagged_labels: Mapping[str, float] | None = None
    index: int | None = None


@dataclass(frozen=True, eq=False)
class Trajectory(_WithArrays):
    """One episode as the replay stores it: L actions and the L + 1 moments around them.

    Attributes:
        achieved: ``(L + 1, *achieved_goal.shape)``, the achieved goal at each moment; for pictures
            these are the frames, from which frame stacks are rebuilt.
        actions: (L,) int64, without STOP.
        observations: ``(L + 1, *observation.shape)``, or None if observations are stacks of the
            frames in `achieved`.
        goal: ``(*achieved_goal.shape)``, the goal that the episode was played towards; None if
            learning from the episode does not depend on it.
    """

    achieved: NDArray[Any]
    actions: NDArray[np.int64]
    observations: NDArray[Any] | None = None
    goal: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.actions)


@dataclass(frozen=True, eq=False)
class SegmentBatch:
    """Training tuples (s_1, a_1 … a_k, g = s_{k+1}) of §3.4, as token sequences.

    Attributes:
        observation: ``(B, *observation.shape)``, dtype as stored (uint8 pictures stay uint8).
        goal: ``(B, *achieved_goal.shape)``, the achieved goal k steps later.
        tokens: (B, K) int64: k actions, one STOP, then padding to the longest row of the batch.
        length: (B,) int64, number of tokens before the padding: k + 1; on the CPU, where packing
            needs it.
    """

    observation: torch.Tensor
    goal: torch.Tensor
    tokens: Int[torch.Tensor, "batch time"]
    length: Int[torch.Tensor, "batch"]


@dataclass(frozen=True, eq=False)
class Plan:
    """The best of N candidate action sequences, for a batch of B observations.

    Attributes:
        tokens: (B, T) int64: actions, then STOP, then padding (token A + 1). T is the length of
            the longest plan allowed for any row, STOP included.
        length: (B,) int64, number of tokens before the padding, STOP included.
        log_score: (B,) float32, Σ z over those tokens plus length · ln γ (Eq. 8).
        token_scores: (B, T) float32, z of each token, 0 at padding.
    """

    tokens: Int[torch.Tensor, "batch time"]
    length: Int[torch.Tensor, "batch"]
    log_score: Float[torch.Tensor, "batch"]
    token_scores: Float[torch.Tensor, "batch time"]

    def __len__(self) -> int:
        return len(self.length)

    def __getitem__(self, index: int) -> Plan:
        """Return the plan of one observation, still with a batch axis of length 1.

        Raises:
            IndexError: `index` is out of range.
        """
        first = range(len(self))[index]
        row = slice(first, first + 1)
        return Plan(self.tokens[row], self.length[row], self.log_score[row], self.token_scores[row])

    def actions(self, index: int = 0) -> NDArray[np.int64]:
        """Return the actions of one plan, without STOP, int64 (length - 1,)."""
        kept = int(self.length[index]) - 1
        return self.tokens[index, :kept].cpu().numpy().astype(np.int64)


@dataclass(frozen=True)
class EvaluationResult:
    """Results of one agent on one task's goals (§4.4), with those of two baselines.

    Attributes:
        task: the id that was evaluated, e.g. ``"glamor/Pong-v0"``.
        success_rate: share of episodes that ended with every label within 10 % of its range.
        confidence_interval: 95 % Wilson interval of `success_rate`, (low, high).
        image_match_rate: share of episodes whose last frame equals the goal picture.
        per_goal: success rate by goal index.
        per_label: share of episodes that ended within the tolerance, by label.
        random: success rate of uniformly random actions, on the same goals and seeds. This and
            the next three are NaN if the baselines were left out.
        noop: success rate of an agent that ends every episode at once.
        random_interval: 95 % Wilson interval of `random`.
        noop_interval: 95 % Wilson interval of `noop`.
        reached_rate: share of episodes that were within the tolerance at *some* step.
        mean_length: mean number of environment steps in an episode, STOP not counted.
        episodes: number of episodes behind each rate.
        seed: the seed that the start of each episode derives from.
        goals_hash: hash of the goal set for ``"eval"``, ``"train"`` and goal-set files; for any
            other goals, SHA-256 of the goals themselves.
        goals: which goals were played: ``"eval"``, ``"held-out"``, …, or the name of a goal-set
            file.
        env_kwargs: further keyword arguments of ``gym.make``.
        distances: by goal index, how far the goal was from the start of its episodes: the largest
            distance of any label, as a fraction of its feasible range, averaged over the goal's
            episodes. Below 0.1, the goal is reached by staying. Goals without labels are left out.
        frames: the pictures of the episodes that were recorded.
    """

    task: str
    success_rate: float
    confidence_interval: tuple[float, float]
    image_match_rate: float
    per_goal: dict[int, float]
    per_label: dict[str, float]
    random: float
    noop: float
    random_interval: tuple[float, float]
    noop_interval: tuple[float, float]
    reached_rate: float
    mean_length: float
    episodes: int
    seed: int
    goals_hash: str
    goals: str
    env_kwargs: dict[str, Any]
    distances: dict[int, float] = field(default_factory=dict)
    frames: list[EpisodeFrames] = field(default_factory=list, repr=False)


@dataclass(frozen=True, eq=False)
class EpisodeFrames(_WithArrays):
    """The pictures of one evaluation episode.

    Attributes:
        goal_index: index of the goal among those evaluated.
        goal: uint8 (H, W), or float32 (d,) for vectors.
        frames: (L + 1, H, W) or (L + 1, d), every frame of the episode, the achieved one last.
        success: whether the episode ended in success.
    """

    goal_index: int
    goal: NDArray[Any]
    frames: NDArray[Any]
    success: bool
