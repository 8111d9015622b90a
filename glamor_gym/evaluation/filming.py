"""What there is to see of an episode, and what its agent had in mind.

In: the moments of :func:`~glamor_gym.evaluation.rollout.play`, whose environments were made with
``render_mode="rgb_array"``. Out: a :class:`Scene` for each of them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from glamor_gym.agents import PlanState
from glamor_gym.evaluation.rollout import Errand, Moment
from glamor_gym.wrappers.goal_env import Pictures


class PlanInMind(NamedTuple):
    """The plan that an agent follows.

    Attributes:
        length: number of its tokens, STOP included.
        log_score: its score (Eq. 8).
    """

    length: int
    log_score: float


@dataclass(frozen=True)
class Scene:
    """One moment of an episode.

    Attributes:
        step: environment steps taken before it.
        horizon: T, the most steps in the episode.
        action: name of the action that the agent takes next; None where the episode is over.
        plan: from which it takes that action; None for an agent that does not plan, and where
            the episode is over.
        pictures: the world, the goal and the newest frame.
    """

    step: int
    horizon: int
    action: str | None
    plan: PlanInMind | None
    pictures: Pictures


class Camera:
    """Sees the moments of episodes, as ``on_moment`` of :meth:`Arena.episodes`, and keeps them."""

    def __init__(self) -> None:
        self._reels: defaultdict[Errand, list[Scene]] = defaultdict(list)

    def __call__(self, moment: Moment) -> None:
        """Film a moment."""
        names = moment.env.get_wrapper_attr("get_action_meanings")()
        reel = self._reels[moment.errand]
        stopped = bool(reel) and reel[-1].action == names[-1]  # STOP is no step of the world
        reel.append(
            Scene(
                step=len(reel) - stopped,
                horizon=moment.env.get_wrapper_attr("horizon"),
                action=None if moment.action is None else names[moment.action],
                plan=None if moment.action is None else _plan_in_mind(moment),
                pictures=moment.env.get_wrapper_attr("pictures")(),
            )
        )

    def take_out(self, errand: Errand) -> list[Scene]:
        """Return the scenes of an episode in their order, and keep them no longer.

        Raises:
            KeyError: none of that episode was filmed.
        """
        return self._reels.pop(errand)


def _plan_in_mind(moment: Moment) -> PlanInMind | None:
    if not isinstance(moment.state, PlanState):
        return None
    length, log_score = moment.state.length, moment.state.log_score
    return PlanInMind(int(length[moment.row]), float(log_score[moment.row]))
