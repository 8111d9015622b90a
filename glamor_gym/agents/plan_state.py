"""What an agent that plans carries from one step to the next.

In: what its last call of `predict` returned, or None. Out: the plan that each environment follows,
and the token of it that comes next.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from glamor_gym.agents.episodes import NO_ACTION, as_starts


class PlanState(NamedTuple):
    """What `predict` carries from one step to the next, one row an environment.

    Attributes:
        steps: (B,) int64, steps taken in the episode.
        tokens: (B, T + 1) int64, the plan last made, padded with `NO_ACTION`; of a plan
            that was not made to its end, the first token, and the STOP that follows it at once.
        cursor: (B,) int64, how many of its tokens have been taken.
        log_score: (B,) float64, the plan's score (Eq. 8); NaN before there is one.
    """

    steps: NDArray[np.int64]
    tokens: NDArray[np.int64]
    cursor: NDArray[np.int64]
    log_score: NDArray[np.float64]

    @property
    def length(self) -> NDArray[np.int64]:
        """(B,) int64, number of the plan's tokens, STOP included; 0 before there is one."""
        lengths: NDArray[np.int64] = (self.tokens != NO_ACTION).sum(axis=1)
        return lengths

    @property
    def next_tokens(self) -> NDArray[np.int64]:
        """(B,) int64, the token of each plan that has not been taken yet, or `NO_ACTION`."""
        return tokens_at(self.tokens, self.cursor)

    @classmethod
    def before_the_first(cls, n_rows: int, horizon: int) -> Self:
        """Return the state of so many environments before there are plans."""
        tokens = np.full((n_rows, horizon + 1), NO_ACTION)
        steps, cursor = np.zeros((2, n_rows), dtype=np.int64)
        return cls(steps, tokens, cursor, np.full(n_rows, np.nan))

    @classmethod
    def of(
        cls,
        state: tuple[NDArray[Any], ...] | None,
        episode_start: NDArray[np.bool_] | None,
        n_rows: int,
        horizon: int,
    ) -> Self:
        """Return a state of our own to write to, with the rows that begin an episode cleared.

        Args:
            state: one like it, which stays as it is; None at the start.
            episode_start: (B,) which rows begin an episode; None for none.
            n_rows: B, the number of environments.
            horizon: T, the most actions in a plan.

        Raises:
            ValueError: `state` is none, or it or `episode_start` is of other environments.
        """
        starts = as_starts(episode_start, n_rows)
        empty = cls.before_the_first(n_rows, horizon)
        if state is None:
            return empty
        try:
            *counts, log_score = state
            steps, tokens, cursor = (np.array(part, dtype=np.int64) for part in counts)
            own = cls(steps, tokens, cursor, np.array(log_score, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise ValueError(f"state must be what predict returned, got {state!r}") from error
        shapes = [part.shape for part in own]
        if shapes != [part.shape for part in empty]:
            raise ValueError(
                f"state must be of {n_rows} environments, as the observation is; got {shapes}"
            )
        for part, none in zip(own, empty, strict=True):
            part[starts] = none[starts]
        return own

    def advanced(self) -> Self:
        """Return the state after each next token was taken."""
        last = self.tokens.shape[1] - 1
        return self._replace(steps=self.steps + 1, cursor=np.minimum(self.cursor + 1, last))


def tokens_at(tokens: NDArray[np.int64], cursor: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each row's token under its cursor, (B,)."""
    return np.take_along_axis(tokens, cursor[:, None], axis=1)[:, 0]


def padded(plans: torch.Tensor, stop_action: int, horizon: int) -> NDArray[np.int64]:
    """Return the tokens of plans as (B, T + 1), `NO_ACTION` for what comes after STOP.

    Args:
        plans: (B, L) int64, L ≤ T + 1; numbers above STOP are padding.
        stop_action: the number of STOP.
        horizon: T.
    """
    tokens = plans.cpu().numpy()
    tokens = np.where(tokens > stop_action, NO_ACTION, tokens)
    missing = horizon + 1 - tokens.shape[1]
    return np.pad(tokens, ((0, 0), (0, missing)), constant_values=NO_ACTION)
