"""Agents that act by plans: they plan and follow the plan, or plan again at every step.

In: a policy that plans, and observations with goals. Out: plans (Equation 8 of the paper), actions
for `predict`, and the planner's settings, which may be changed after training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glamor_gym.agents.base import ImageGoalAgent
from glamor_gym.agents.episodes import NO_ACTION
from glamor_gym.agents.observations import as_batch, steps_left_of
from glamor_gym.agents.plan_state import PlanState, copied, lengths_of, padded
from glamor_gym.agents.policy import GlamorPolicy
from glamor_gym.agents.settings import GlamorSettings
from glamor_gym.checks import as_instance
from glamor_gym.planners import PlannerSettings, StopRule
from glamor_gym.planners.settings import SearchSettings
from glamor_gym.types import Plan

SHARED_WITH_PLANNER = tuple(field.name for field in fields(SearchSettings))
"""Settings of the agent that are settings of its planner."""

StatePlans = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Plans as they are kept in a :class:`~glamor_gym.agents.plan_state.PlanState`: `tokens`, `length`
and `log_score`."""


class PlanningAgent(ImageGoalAgent):
    """The base class of agents that act by plans.

    For arguments and errors see :class:`~glamor_gym.agents.learner.TrajectoryLearner`.

    Attributes:
        planner: settings with which the agent plans. Assign a changed copy
            (:func:`dataclasses.replace`); :meth:`save` keeps it. :meth:`collect` plans with it as
            well, but for `stop`, `stop_first` and `guided`, which it sets as the paper does. To
            evaluate an agent in another way and then train it further, use the options of
            :meth:`plan` and :meth:`predict`, or a loaded copy of it.
        open_loop: whether :meth:`predict` follows its first plan to the end instead of planning
            anew at each step; :meth:`save` keeps it.
        plans_ahead: whether :meth:`predict` completes every plan even where only its first action
            is used (`vote`). The actions are the same; the state then holds the plans' length and
            score, and prediction takes several times as long.
    """

    acts_by_plan = True
    policy: GlamorPolicy
    settings: GlamorSettings
    open_loop: bool = False
    plans_ahead: bool = False

    # ------------------------------------------------------------------- the planner's settings

    @cached_property
    def _planner(self) -> PlannerSettings:
        """The planner's settings: until others are assigned, those that follow from `settings`."""
        return planner_of(self.settings)

    @property
    def planner(self) -> PlannerSettings:
        """Settings with which the agent plans; may be assigned, and :meth:`save` keeps them.

        `settings` follows, so that it tells what is in use.
        """
        return self._planner

    @planner.setter
    def planner(self, planner: PlannerSettings) -> None:
        as_instance(planner, PlannerSettings, name="planner")
        shared = {name: getattr(planner, name) for name in SHARED_WITH_PLANNER}
        self.settings = replace(self.settings, **shared)
        self._planner = planner
        if getattr(self, "policy", None) is not None:  # the policy is built once spaces are known
            self.policy.planner = planner

    @property
    def gamma(self) -> float:
        """γ of Equation 8, that of `planner`; may be assigned."""
        return self.planner.gamma

    @gamma.setter
    def gamma(self, gamma: float) -> None:
        self.planner = replace(self.planner, gamma=gamma)

    def overrides(self) -> dict[str, Any]:
        """Return the planner settings that do not follow from `settings`, and `open_loop`."""
        default = asdict(planner_of(self.settings))
        current = asdict(self.planner)
        changed = {name: value for name, value in current.items() if value != default[name]}
        return changed | {"open_loop": self.open_loop}

    def apply_overrides(self, overrides: Mapping[str, Any]) -> None:
        """Apply what :meth:`overrides` returned."""
        changed = dict(overrides)
        self.open_loop = as_instance(changed.pop("open_loop", False), bool, name="open_loop")
        self.planner = replace(self.planner, **changed)

    # -------------------------------------------------------- planning and acting (Equation 8)

    def plan(
        self,
        observation: Mapping[str, Any],
        *,
        n_trials: int | None = None,
        stop: StopRule | None = None,
        guided: bool | None = None,
        deterministic: bool = False,
    ) -> Plan:
        """Make a plan for one observation or a batch of them.

        Args:
            observation: with ``observation``, ``desired_goal`` and, where the environment has
                it, ``steps_left``; without that, plans may take the whole horizon.
            n_trials: number of candidates; None for that of `planner`, as with the next two. First
                actions that are chosen by their value (`vote`) do not depend on it.
            stop: see :class:`~glamor_gym.planners.PlannerSettings`.
            guided: sample from softmax(z) (True) or uniformly (False, §4.7.3).
            deterministic: plan with the same noise at every call.

        Returns:
            The plans, with a batch axis even for one observation.

        Raises:
            ValueError: the observation or an option is not as described.
        """
        batch, _ = as_batch(observation, self.observation_space, self.observation_keys)
        no_steps = np.zeros(len(batch["desired_goal"]), dtype=np.int64)
        planner = self._planner_with(n_trials=n_trials, stop=stop, guided=guided)
        return self._plan(batch, no_steps, planner, deterministic)

    def predict(  # type: ignore[override]
        self,
        observation: Mapping[str, Any],
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
        *,
        n_trials: int | None = None,
        stop: StopRule | None = None,
        guided: bool | None = None,
        open_loop: bool | None = None,
    ) -> tuple[NDArray[np.int64], PlanState]:
        """Choose the next action for one observation or a batch of them.

        In closed loop, the default, the agent plans, takes the first action and plans again. If the
        first action can be chosen without candidates (``stopping="duration"`` with `vote` and
        `guided`, and `stay_fraction` > 0 or another `stop` than ``"free"``), the rest of the plan
        is not made, see `plans_ahead`. An agent trained
        to recognise that it has arrived (`stay_fraction` > 0) decides at each step whether to stop,
        or to take one more action and then stop; the paper's agent stops after a plan of a single
        action.

        Args:
            observation: see :meth:`plan`.
            state: what the last call returned; None at the start.
            episode_start: (B,) flags of the rows that begin an episode, whose state is reset.
            deterministic: plan with noise that depends only on the number of steps taken, summed
                over the rows that make a new plan, so that the same calls return the same actions.
            n_trials: see :meth:`plan`; without effect where the rest of the plan is not made.
            stop: see :meth:`plan`.
            guided: see :meth:`plan`.
            open_loop: follow the first plan to its end instead of planning anew; None for the
                attribute `open_loop`.

        Returns:
            Actions, (B,) or, for one observation, (); and the state for the next call.

        Raises:
            ValueError: the observation, the state or an option is not as described.
        """
        batch, is_batch = as_batch(observation, self.observation_space, self.observation_keys)
        planner = self._planner_with(n_trials=n_trials, stop=stop, guided=guided)
        follows = self.open_loop if open_loop is None else open_loop
        as_instance(follows, bool, name="open_loop")
        n_rows = len(batch["desired_goal"])
        plans = copied(state, PlanState.before_the_first(n_rows, self.horizon), episode_start)

        stops_next = plans.next_tokens == self.stop_action
        # Can the first action be chosen by its value, without candidates?
        looks_again = planner.may_stop_first or planner.stop != "free"
        by_value = looks_again and not follows and self.policy.acts_by_value(planner)
        # Which rows keep the plan that they have? The others make a new one.
        if follows:
            keeps = plans.next_tokens != NO_ACTION
        elif planner.may_stop_first and not by_value:
            keeps = np.zeros(n_rows, dtype=bool)  # STOP is taken if a new plan begins with it
        else:
            keeps = stops_next  # the plan's only action has been taken
        if planner.stop == "never":
            keeps = keeps & ~stops_next
        if not keeps.all():
            needs = ~keeps
            rows = {key: value[needs] for key, value in batch.items()}
            make = self._beginnings if by_value else self._whole_plans
            made = make(rows, plans.steps[needs], planner, deterministic)
            plans.tokens[needs], plans.length[needs], plans.log_score[needs] = made
            plans.cursor[needs] = 0
        actions = plans.next_tokens
        return (actions if is_batch else actions[0]), plans.advanced()

    def _whole_plans(
        self,
        rows: Mapping[str, NDArray[Any]],
        steps: NDArray[np.int64],
        planner: PlannerSettings,
        deterministic: bool,
    ) -> StatePlans:
        """Return plans for these observations."""
        plans = self._plan(rows, steps, planner, deterministic)
        tokens = padded(plans.tokens, self.stop_action, self.horizon)
        return tokens, lengths_of(tokens), plans.log_score.double().cpu().numpy()

    def _beginnings(
        self,
        rows: Mapping[str, NDArray[Any]],
        steps: NDArray[np.int64],
        planner: PlannerSettings,
        deterministic: bool,
    ) -> StatePlans:
        """Return the beginnings of plans; whole plans if `plans_ahead` is set."""
        self.finish_updates()
        steps_left = steps_left_of(rows, self.horizon, steps)
        begun = self.policy.next_tokens(rows, steps_left, planner)
        tokens = padded(begun, self.stop_action, self.horizon)
        if not self.plans_ahead:
            return tokens, lengths_of(tokens), np.full(len(tokens), np.nan)
        whole, length, log_score = self._whole_plans(rows, steps, planner, deterministic)
        # A one-action plan stops next only if the goal was found to be one step away.
        happens = (whole[:, 1] == self.stop_action) & (tokens[:, 1] != self.stop_action)
        whole[happens, 1] = NO_ACTION
        return whole, length, log_score

    def _plan(
        self,
        batch: Mapping[str, NDArray[Any]],
        steps: NDArray[np.int64],
        planner: PlannerSettings,
        deterministic: bool,
    ) -> Plan:
        """Plan for a checked batch; if deterministic, with noise seeded by the step count.

        With the same noise at every step, an undecided agent would always err to the same side.
        """
        self.finish_updates()
        steps_left = steps_left_of(batch, self.horizon, steps)
        noise = self.generator
        if deterministic:
            noise = torch.Generator(self.device).manual_seed(int(steps.sum()))
        return self.policy.plan(batch, steps_left, planner, noise)

    def _planner_with(self, **options: Any) -> PlannerSettings:
        """Return the agent's planner settings, replaced by the options that are not None."""
        given = {name: value for name, value in options.items() if value is not None}
        return replace(self.planner, **given) if given else self.planner

    def _policy_arguments(self) -> dict[str, Any]:
        return {**super()._policy_arguments(), "planner": self.planner}


def planner_of(settings: GlamorSettings) -> PlannerSettings:
    """Return the planner settings that follow from an agent's settings."""
    shared = {name: getattr(settings, name) for name in SHARED_WITH_PLANNER}
    return PlannerSettings(**shared, stop_first=settings.stay_fraction > 0)
