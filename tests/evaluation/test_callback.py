from __future__ import annotations

import time

import gymnasium as gym
import pytest
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback

import glamor_gym.evaluation.evaluator as evaluator
from glamor_gym import GlamorAgent
from glamor_gym.evaluation import EvaluationCallback, RunFolder, StopAfter

ROOM = "glamor/GridWorld-v0"


def learner(seed=0):
    return DQN(
        "MultiInputPolicy",
        gym.make(ROOM, goals="all"),
        learning_starts=20,
        buffer_size=200,
        seed=seed,
        device="cpu",
        policy_kwargs={"net_arch": [8]},
    )


def test_it_evaluates_at_multiples_and_at_the_end():
    callback = EvaluationCallback(ROOM, 40, goals="all", record=0)
    learner().learn(100, callback)
    assert list(callback.results) == [40, 80, 100]


def test_the_last_step_is_evaluated_once_and_as_often_as_asked():
    callback = EvaluationCallback(ROOM, 50, goals="all", record=0, final_episodes_per_goal=2)
    learner().learn(100, callback)
    assert {step: result.episodes for step, result in callback.results.items()} == {50: 49, 100: 98}


def test_it_goes_on_at_the_next_multiple():
    callback = EvaluationCallback(ROOM, 50, goals="all", record=0)
    agent = learner().learn(72, callback)
    agent.learn(48, callback, reset_num_timesteps=False)
    assert list(callback.results) == [50, 72, 100, 120]


def test_baselines_play_once_for_each_number_of_episodes(monkeypatch):
    players = []

    class Counted(evaluator.RandomAgent):
        def __init__(self, *args, **kwargs):
            players.append(self)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(evaluator, "RandomAgent", Counted)
    callback = EvaluationCallback(ROOM, 30, goals="all", record=0, final_episodes_per_goal=2)
    learner().learn(100, callback)
    assert len(callback.results) == 4
    assert len(players) == 2
    assert len({result.random for step, result in callback.results.items() if step < 100}) == 1


def planner():
    return GlamorAgent(
        gym.make(ROOM),
        learning_starts=40,
        batch_size=20,
        exploration_steps=100,
        seed=0,
        device="cpu",
        policy_kwargs={"embedding_size": 8},
    )


@pytest.mark.parametrize("new_agent", [learner, planner])
def test_training_does_not_notice(new_agent):
    """With and without evaluations, the same seed learns the same weights."""
    plain = new_agent().learn(120)
    watched = new_agent().learn(120, EvaluationCallback(ROOM, 25, goals="all", record=0))
    assert plain._n_updates > 0
    for one, other in zip(plain.policy.parameters(), watched.policy.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_log_and_folder_hold_the_results(tmp_path, capsys):
    run = RunFolder(tmp_path)
    callback = EvaluationCallback(
        ROOM, 50, goals="all", seed=2, record=2, run_folder=run, verbose=1
    )
    agent = learner()
    agent.set_logger(run.logger())
    agent.learn(100, callback)
    table = run.metrics().dropna(subset=["eval/success_rate"])
    assert table["step"].tolist() == [50, 100]
    for (_, row), result in zip(table.iterrows(), callback.results.values(), strict=True):
        assert row["eval/success_rate"] == pytest.approx(result.success_rate)
        assert row["eval/success_low"] == pytest.approx(result.confidence_interval[0])
        assert row["eval/success_high"] == pytest.approx(result.confidence_interval[1])
        assert row["eval/reached_rate"] == pytest.approx(result.reached_rate)
        assert row["eval/image_match_rate"] == pytest.approx(result.image_match_rate)
        assert row["eval/mean_length"] == pytest.approx(result.mean_length)
        assert row["eval/random"] == pytest.approx(result.random)
        assert row["eval/noop"] == pytest.approx(1 / 49)
        assert result.seed == 2
    kept = run.evaluation()
    assert kept.per_goal == callback.results[100].per_goal
    assert len(kept.frames) == 2
    assert not any(result.frames for result in callback.results.values())
    assert run.library_agent_file.is_file()
    assert "step 50: " in capsys.readouterr().out


def test_an_impossible_interval_is_refused():
    with pytest.raises(ValueError, match="every_steps must be an integer ≥ 1, got 0"):
        EvaluationCallback(ROOM, 0)


class Slow(BaseCallback):
    def _on_step(self):
        time.sleep(0.01)
        return True


@pytest.mark.parametrize(
    ("id", "goals", "told"),
    [
        ("glamor/GridWrld-v0", "all", "did you mean GridWorld"),
        (ROOM, "some", "goals must be"),
        ("glamor/Dice-v0", "all", "agent was made for the actions"),
    ],
)
def test_what_cannot_be_evaluated_is_told_before_the_first_step(id, goals, told):
    agent = learner()
    with pytest.raises(ValueError, match=told):
        agent.learn(100, EvaluationCallback(id, 1_000, goals=goals))
    assert agent.num_timesteps == 0


def test_the_clock_ends_a_training():
    agent = learner().learn(10_000, [Slow(), StopAfter(0.1 / 60)])
    assert 1 <= agent.num_timesteps <= 11


def test_minutes_have_sixty_seconds(half_minutes):
    assert learner().learn(100, [half_minutes, StopAfter(2)]).num_timesteps == 4


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan")])
def test_no_time_at_all_is_refused(minutes):
    with pytest.raises(ValueError, match="minutes must be"):
        StopAfter(minutes)


def test_results_are_kept_though_standard_output_is_closed(tmp_path, monkeypatch):
    def closed(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", closed)
    run = RunFolder(tmp_path)
    callback = EvaluationCallback(ROOM, 50, goals="all", record=0, run_folder=run, verbose=1)
    agent = learner()
    agent.set_logger(run.logger())
    with pytest.raises(BrokenPipeError):
        agent.learn(100, callback)
    assert run.evaluation().per_goal == callback.results[50].per_goal
    assert run.library_agent_file.is_file()
