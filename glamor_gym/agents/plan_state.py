"""What `predict` returns as `state` and takes back: the plan that each environment follows.

:func:`copied` also serves the reactive agents, whose state is the number of steps taken.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from glamor_gym.agents.episodes import NO_ACTION

State = TypeVar("State", bound=tuple[NDArray[Any], ...])


class PlanState(NamedTuple):
    """What `predict` carries from one step to the next, one row per environment.

    Attributes:
        steps: (B,) int64, number of steps taken in the episode.
        tokens: (B, T + 1) int64, the latest plan, padded with `NO_ACTION`. Of a plan that was not
            completed, only the first token, and a STOP that follows it directly. A second token
            STOP is left out if the agent looks again before it stops.
        cursor: (B,) int64, number of the plan's tokens that have been taken.
        length: (B,) int64, number of the plan's tokens, STOP included; 0 before there is a plan,
            and the number of known tokens for one that was not completed.
        log_score: (B,) float64, the plan's score (Eq. 8); NaN before there is a plan, and for one
            that was not completed.
    """

    steps: NDArray[np.int64]
    tokens: NDArray[np.int64]
    cursor: NDArray[np.int64]
    length: NDArray[np.int64]
    log_score: NDArray[np.float64]

    @property
    def next_tokens(self) -> NDArray[np.int64]:
        """(B,) int64, the next token of each plan, or `NO_ACTION` where there is none."""
        return tokens_at(self.tokens, self.cursor)

    @classmethod
    def before_the_first(cls, n_rows: int, horizon: int) -> Self:
        """Return the state of `n_rows` environments before there are plans."""
        tokens = np.full((n_rows, horizon + 1), NO_ACTION)
        steps, cursor, length = np.zeros((3, n_rows), dtype=np.int64)
        return cls(steps, tokens, cursor, length, np.full(n_rows, np.nan))

    def advanced(self) -> Self:
        """Return the state after the next token of each plan has been taken."""
        last = self.tokens.shape[1] - 1
        return self._replace(steps=self.steps + 1, cursor=np.minimum(self.cursor + 1, last))


def copied(
    state: tuple[NDArray[Any], ...] | None, empty: State, episode_start: NDArray[np.bool_] | None
) -> State:
    """Return a writable copy of a state, with the rows that begin an episode cleared.

    Args:
        state: the state to copy, which is not changed; None at the start.
        empty: the state before the first step, a NamedTuple of arrays of a row per environment.
        episode_start: (B,) flags of the rows that begin an episode; a single flag applies to all
            rows, None means none.

    Raises:
        ValueError: the parts of `state` are not of the types or shapes of those of `empty`, or
            `episode_start` is not of as many rows.
    """
    n_rows = len(empty[0])
    starts = np.asarray(False if episode_start is None else episode_start, dtype=bool)
    if starts.shape not in {(), (1,), (n_rows,)}:
        raise ValueError(f"episode_start must be of shape ({n_rows},), got {starts.shape}")
    starts = np.broadcast_to(starts, (n_rows,))
    if state is None:
        return empty
    try:
        parts = [np.array(part, own.dtype) for part, own in zip(state, empty, strict=True)]
    except (TypeError, ValueError) as error:
        raise ValueError(f"state must be what predict returned, got {state!r}") from error
    wanted, shapes = ([part.shape for part in each] for each in (empty, parts))
    if shapes != wanted:
        raise ValueError(
            f"state must be of {n_rows} environments, as the observation is, with arrays of shapes "
            f"{wanted}; got {shapes}"
        )
    for part, cleared in zip(parts, empty, strict=True):
        part[starts] = cleared[starts]
    return type(empty)(*parts)


def tokens_at(tokens: NDArray[np.int64], cursor: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each row's token at its cursor, (B,)."""
    return np.take_along_axis(tokens, cursor[:, None], axis=1)[:, 0]


def lengths_of(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of tokens in each row before the padding, (B,)."""
    lengths: NDArray[np.int64] = (tokens != NO_ACTION).sum(axis=1)
    return lengths


def padded(plans: torch.Tensor, stop_action: int, horizon: int) -> NDArray[np.int64]:
    """Return the tokens of plans as (B, T + 1), with `NO_ACTION` in place of all padding.

    Args:
        plans: (B, L) int64 tokens, L ≤ T + 1; those above STOP are padding.
        stop_action: the token STOP.
        horizon: T, largest number of actions in a plan.
    """
    tokens = plans.cpu().numpy()
    tokens = np.where(tokens > stop_action, NO_ACTION, tokens)
    missing = horizon + 1 - tokens.shape[1]
    return np.pad(tokens, ((0, 0), (0, missing)), constant_values=NO_ACTION)
