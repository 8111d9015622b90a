"""How plans are made: a user's settings in, the same settings out, validated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from glamor_gym.checks import (
    CheckedFields,
    as_choice,
    as_instance,
    as_integer,
    as_number,
    as_probability,
)

StopRule = Literal["free", "end", "never"]

MOST_TRIALS = 100_000
"""Most candidates per observation; each takes about a kilobyte during planning."""


@dataclass(frozen=True)
class SearchSettings(CheckedFields):
    """How candidates are scored and one is chosen; an agent has these settings as well.

    Attributes:
        n_trials: number N of candidates per observation. First actions that are chosen by their
            value, see `vote`, do not depend on it.
        clip_log_prob: tokens with log p_inv below this are not expanded (`clip-p-actions`).
            Durations that a model predicts are never clipped.
        use_prior: subtract the prior's log-probability; without it, z = log p_inv.
        gamma: discount γ of Eq. 8, which favours short plans.
        vote: do not take the best of all candidates, as in the paper, which is partly best by luck.
            With a model that predicts durations, and `guided`, the first action is the one of
            highest value, found without candidates, see
            :mod:`~glamor_gym.planners.action_values`. Else each candidate votes for its first token
            with weight exp(score), and the best one that begins with the elected token is taken:
            not the sum over plans, since likelier ones are drawn more often and weigh more, too.
        arrival_probability: with a model that predicts durations and `stop_first`, the goal is
            near if it is at most one step away with at least this probability. The plan is then
            STOP alone if zero steps are as likely as one or likelier, else one action and STOP.

    Raises:
        ValueError: a setting is out of range or of the wrong type; the message names it.
    """

    n_trials: int = 50
    clip_log_prob: float = -3.15
    use_prior: bool = True
    gamma: float = 0.99
    vote: bool = False
    arrival_probability: float = 0.2

    def __post_init__(self) -> None:
        self._check("gamma", as_number, above=0, high=1)
        self._check("n_trials", as_integer, low=1, high=MOST_TRIALS)
        self._check("clip_log_prob", as_number, below=0)
        self._check("use_prior", as_instance, bool)
        self._check("vote", as_instance, bool)
        self._check("arrival_probability", as_probability)


@dataclass(frozen=True)
class PlannerSettings(SearchSettings):
    """How plans are made: :class:`SearchSettings`, and what a call of a planner may change.

    Attributes:
        stop: ``"free"``: STOP may come in any slot but the first; ``"end"``: only in the last
            slot (the paper's plan-end, §4.7.2); ``"never"``: plans are made as with ``"free"``
            and without `stop_first`, but the agent never ends its episodes (naive-end).
        stop_first: whether STOP may also come first; without effect unless `stop` is ``"free"``.
            Needs a model trained to recognise that it has arrived (`stay_fraction`), which the
            paper's was not.
        guided: sample candidates from softmax(z); else uniformly, as in Fig. 4.

    Raises:
        ValueError: a setting is out of range or of the wrong type; the message names it.
    """

    stop: StopRule = "free"
    stop_first: bool = False
    guided: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("stop", as_choice, get_args(StopRule))
        self._check("stop_first", as_instance, bool)
        self._check("guided", as_instance, bool)

    @property
    def may_stop_first(self) -> bool:
        """Whether a plan may be STOP alone: `stop_first` is set and `stop` is ``"free"``."""
        return self.stop_first and self.stop == "free"

    @property
    def acts_by_value(self) -> bool:
        """Whether, if durations are predicted, plans begin with the action of highest value."""
        return self.vote and self.guided

    def stop_is_open(self, slot: int) -> bool:
        """Return whether a candidate may sample STOP in this slot, counted from 0."""
        return self.stop != "end" and (slot > 0 or self.may_stop_first)
