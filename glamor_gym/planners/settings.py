"""How plans are made: a user's numbers in, the same numbers out, known to be sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from glamor_gym.checks import as_choice, as_instance, as_integer, as_number, as_probability

StopRule = Literal["free", "end", "never"]

MOST_TRIALS = 100_000
"""Most candidates for one observation; each takes about a kilobyte while it is made."""


@dataclass(frozen=True)
class PlannerSettings:
    """How plans are made.

    Attributes:
        n_trials: number N of candidates for each observation.
        clip_log_prob: tokens with log p_inv below this are not expanded (`clip-p-actions`).
        use_prior: subtract the prior's log-probability; without it, z = log p_inv.
        gamma: γ of Eq. 8, the taste for short plans.
        stop: ``"free"``: STOP may come in any slot but the first; ``"end"``: only in the last
            slot (the paper's plan-end, §4.7.2); ``"never"``: plans as ``"free"``, but the agent
            does not end its episodes (naive-end).
        stop_first: whether STOP may come first too. Needs a model that was taught what having
            arrived looks like (`stay_fraction`); the paper's was not.
        guided: sample candidates from softmax(z); else uniformly, as in Fig. 4.
        vote: candidates elect the first token, each its own with the weight exp(score), and the
            best of those that begin with the winner is taken; the best of all, as in the paper,
            owes its place partly to luck. With a model that predicts durations the first action
            is elected before there are candidates, see :mod:`~glamor_gym.planners.election`.
        arrival_probability: with a model that predicts durations and `stop_first`, the goal is
            near where it is at most one step away with this probability. Where no step is then
            likelier than one, the plan is STOP alone, else one action and STOP.
    """

    n_trials: int = 50
    clip_log_prob: float = -3.15
    use_prior: bool = True
    gamma: float = 0.99
    stop: StopRule = "free"
    stop_first: bool = False
    guided: bool = True
    vote: bool = False
    arrival_probability: float = 0.2

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: a setting is out of its range, or a probability is no number; the message
                names it.
            TypeError: another setting is of the wrong type.
        """
        numbers = {
            "n_trials": as_integer(self.n_trials, name="n_trials", low=1, high=MOST_TRIALS),
            "clip_log_prob": as_number(self.clip_log_prob, name="clip_log_prob"),
            "gamma": as_number(self.gamma, name="gamma"),
            "arrival_probability": as_probability(
                self.arrival_probability, name="arrival_probability"
            ),
        }
        for name, number in numbers.items():  # NumPy's become Python's, which JSON knows
            object.__setattr__(self, name, number)
        if not 0.0 < self.gamma <= 1.0:
            raise ValueError(f"gamma must lie in (0, 1], got {self.gamma}")
        if not self.clip_log_prob < 0.0:
            raise ValueError(f"clip_log_prob must be below 0, got {self.clip_log_prob}")
        as_choice(self.stop, get_args(StopRule), name="stop")
        for name in ("use_prior", "stop_first", "guided", "vote"):
            as_instance(getattr(self, name), bool, name=name)

    @property
    def may_stop_first(self) -> bool:
        """Whether a plan may be STOP alone: where `stop` is not ``"free"``, that is of no use."""
        return self.stop_first and self.stop == "free"

    def stop_is_open(self, slot: int) -> bool:
        """Return whether a candidate may sample STOP as its token number `slot`, from 0."""
        return self.stop != "end" and (slot > 0 or self.may_stop_first)
