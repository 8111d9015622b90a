"""Checkpoints while an agent learns: they change nothing, and training goes on from them."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Figure, HParam, Logger

from glamor_gym.agents import CheckpointCallback, GlamorAgent, StopRequest, TrainingInterrupted
from glamor_gym.agents.saving.checkpoint_folder import CheckpointFolder
from glamor_gym.evaluation import StopAfter
from glamor_gym.files import LOCK_FILE
from glamor_gym.interruption import EndedBySignal, ended_in_order, hangup_ignored
from glamor_gym.vector.collector import make_collector
from tests.agents.sameness import assert_same_agents
from tests.agents.small_agents import GRID, SMALL, make_grid

STEPS = 150


def new_agent():
    agent = GlamorAgent(make_grid(), **SMALL)
    agent.set_logger(Logger(None, []))
    return agent


def load(folder):
    agent = GlamorAgent.load_checkpoint(folder, make_grid(), device="cpu")
    agent.set_logger(Logger(None, []))
    return agent


class At(BaseCallback):
    """Do something once, in the midst of a step."""

    def __init__(self, step, action):
        super().__init__()
        self._at = step
        self._action = action

    def _on_step(self):
        if self.num_timesteps == self._at:
            self._action()
        return True


def test_it_leaves_no_trace(tmp_path):
    callback = CheckpointCallback(tmp_path, every_steps=40)
    with_them = new_agent().learn(STEPS, callback)
    assert_same_agents(with_them, new_agent().learn(STEPS))
    assert_same_agents(with_them, load(tmp_path))
    assert callback.n_written == 2 + STEPS // 40  # before the first step, and after the last
    assert callback.seconds > 0


def test_what_is_logged_besides_numbers_texts_and_arrays_is_left_out(tmp_path):
    def record():
        agent.logger.record("figure", Figure(None, close=False), exclude="stdout")
        agent.logger.record("hparams", HParam({"gamma": 1.0}, {"rate": 0.0}), exclude="stdout")
        agent.logger.record("rate", 0.5, exclude="csv")
        agent.logger.record("weights", torch.arange(2))

    agent = new_agent()
    agent.learn(2, [At(1, record), CheckpointCallback(tmp_path)], log_interval=None)
    logger = load(tmp_path).logger
    assert logger.name_to_value["rate"] == 0.5
    assert logger.name_to_value["weights"].tolist() == [0, 1]
    assert logger.name_to_excluded["rate"] == ("csv",)
    names = {"rate", "rollout/exploration_rate", "weights"}
    assert set(logger.name_to_value) == set(logger.name_to_excluded) == names


def test_by_the_clock(tmp_path):
    rarely, often = (CheckpointCallback(tmp_path / str(m), every_minutes=m) for m in (10, 1e-9))
    new_agent().learn(20, [rarely, often])
    assert rarely.n_written == 2
    assert often.n_written >= 20


def test_minutes_have_sixty_seconds(tmp_path, half_minutes):
    often, rarely = (CheckpointCallback(tmp_path / str(m), every_minutes=m) for m in (1, 11))
    new_agent().learn(20, [half_minutes, often, rarely])
    assert often.n_written == 11  # at the start, after every second step, and the last of these
    assert rarely.n_written == 2


@pytest.mark.usefixtures("no_nohup")
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
    ids=["TERM", "INT", "HUP"],
)
def test_a_signal_ends_the_training_after_the_step(tmp_path, capsys, number, code):
    before = signal.getsignal(number)
    agent = new_agent()
    with StopRequest() as stop:
        callback = CheckpointCallback(tmp_path, every_steps=1000, stop=stop)
        send = At(101, lambda: os.kill(os.getpid(), number))
        with pytest.raises(TrainingInterrupted, match="at step 101; a checkpoint") as interrupted:
            agent.learn(STEPS, [send, callback])
    assert interrupted.value.exit_code == code
    assert signal.getsignal(number) == before
    assert f"{number.name}: finishing the step" in capsys.readouterr().err
    resumed = load(tmp_path).resume(CheckpointCallback(tmp_path))
    assert_same_agents(resumed, new_agent().learn(STEPS))


@pytest.mark.usefixtures("no_nohup")
def test_a_terminal_that_is_closed_is_nothing_to_nohup():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.received is None


@pytest.mark.usefixtures("no_nohup")
def test_the_second_signal_of_a_closed_terminal_changes_nothing():
    with StopRequest() as stop:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop.received == signal.SIGHUP
    cleaned_up = []

    def work():
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            os.kill(os.getpid(), signal.SIGHUP)
            cleaned_up.append(True)

    with pytest.raises(EndedBySignal), ended_in_order():
        work()
    assert cleaned_up
    with hangup_ignored():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


def test_a_second_signal_does_not_wait():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_to_an_earlier_block_is_past():
    stop = StopRequest()
    with stop:
        os.kill(os.getpid(), signal.SIGINT)
    with stop:
        assert stop.received is None


def test_what_is_left_of_a_second_training_is_known_from_its_first_step(tmp_path):
    agent = new_agent().learn(30, CheckpointCallback(tmp_path))
    ends = [CheckpointCallback(tmp_path), At(40, lambda: 1 / 0)]
    with pytest.raises(ZeroDivisionError):
        agent.learn(70, ends, reset_num_timesteps=False)
    assert load(tmp_path).resume().num_timesteps == 100


def test_a_worker_that_died_between_two_steps_ends_no_training(tmp_path):
    env = make_collector(GRID, 2, kind="workers", goals="all")
    agent = GlamorAgent(env, **SMALL)

    class Killing(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            if self.num_timesteps == 20:
                worker = env._workers[1]._process
                worker.kill()
                worker.join()

    with pytest.warns(UserWarning, match="will begin new episodes"):
        agent.learn(40, [Killing(), CheckpointCallback(tmp_path, every_steps=2)])
    assert env.restarts == 1
    env.close()


def test_a_callback_that_ends_the_training_loses_no_step(tmp_path):
    # SB3 itself forgets the step in which a callback returns False.
    agent = new_agent()
    agent.learn(STEPS, [StopAfter(1e-9), CheckpointCallback(tmp_path)])
    assert agent.num_timesteps == 1
    assert_same_agents(load(tmp_path).resume(), new_agent().learn(STEPS))


def test_a_disk_that_is_full_for_a_while(tmp_path, monkeypatch):
    put = CheckpointFolder._put

    def put_with_gap(self, name, content):
        if 40 < agent.num_timesteps < 100:
            raise OSError(28, "No space left on device")
        return put(self, name, content)

    monkeypatch.setattr(CheckpointFolder, "_put", put_with_gap)
    agent = new_agent()
    with pytest.warns(UserWarning, match=r"no checkpoint at step .. \(.*No space left") as told:
        agent.learn(STEPS, CheckpointCallback(tmp_path, every_steps=25))
    assert [str(each.message).split(" (")[0] for each in told] == [
        "no checkpoint at step 50",
        "no checkpoint at step 75",
    ]
    assert_same_agents(load(tmp_path), agent)


def test_a_disk_that_stays_full(tmp_path, monkeypatch):
    put = CheckpointFolder._put

    def put_at_first(self, name, content):
        if agent.num_timesteps > 40:
            raise OSError(28, "No space left on device")
        return put(self, name, content)

    monkeypatch.setattr(CheckpointFolder, "_put", put_at_first)
    agent = new_agent()
    with (
        pytest.warns(UserWarning, match="no checkpoint at step"),
        pytest.raises(OSError, match="No space left"),
    ):
        agent.learn(STEPS, CheckpointCallback(tmp_path, every_steps=25))
    monkeypatch.undo()
    assert CheckpointFolder(tmp_path).newest().step == 25
    assert_same_agents(load(tmp_path).resume(), agent)


def test_a_folder_that_cannot_be_written_is_told_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("in the way")
    agent = new_agent()
    with pytest.raises(OSError, match="file"):
        agent.learn(STEPS, CheckpointCallback(tmp_path / "file" / "checkpoint"))
    assert agent.num_timesteps == 0


def test_nan_leaves_the_checkpoint_from_before(tmp_path):
    agent = new_agent()

    def spoil():
        with torch.no_grad():
            next(agent.policy.parameters()).fill_(torch.nan)

    with pytest.raises(FloatingPointError, match="is nan at update"):
        agent.learn(STEPS, [At(110, spoil), CheckpointCallback(tmp_path, every_steps=25)])
    assert CheckpointFolder(tmp_path).newest().step == 100
    assert_same_agents(load(tmp_path).resume(), new_agent().learn(STEPS))


def test_another_agents_folder_is_refused_before_the_first_step(tmp_path):
    new_agent().learn(20, CheckpointCallback(tmp_path))
    agent = new_agent()
    with pytest.raises(ValueError, match="holds checkpoints of another run"):
        agent.learn(20, CheckpointCallback(tmp_path))
    assert agent.num_timesteps == 0


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"every_steps": 0}, ValueError, "every_steps must be an integer ≥ 1, got 0"),
        ({"every_steps": 2.5}, TypeError, "every_steps must be an integer ≥ 1, got 2.5"),
        ({"every_minutes": 0}, ValueError, "every_minutes must be a finite number above 0, got 0"),
        ({"every_minutes": "2"}, TypeError, "every_minutes must be a finite number above 0, got"),
    ],
)
def test_bad_numbers(tmp_path, arguments, error, told):
    with pytest.raises(error, match=told):
        CheckpointCallback(tmp_path, **arguments)


def test_agents_of_other_libraries(tmp_path):
    with pytest.raises(ValueError, match="must be one of glamor_gym's"):
        DQN("MultiInputPolicy", make_grid(), buffer_size=10).learn(1, CheckpointCallback(tmp_path))


def test_an_agent_from_elsewhere_is_refused_before_its_next_step(tmp_path):
    new_agent().learn(20, CheckpointCallback(tmp_path / "one"))
    agent = new_agent().learn(10)
    with pytest.raises(ValueError, match="holds checkpoints of another run"):
        agent.learn(20, CheckpointCallback(tmp_path / "one"), reset_num_timesteps=False)
    assert agent.num_timesteps == 10
    agent.learn(20, CheckpointCallback(tmp_path / "two"), reset_num_timesteps=False)
    assert_same_agents(load(tmp_path / "two"), agent)


def test_a_checkpoint_that_cannot_be_written_leaves_others_files(tmp_path, monkeypatch):
    others = [tmp_path / "my-model-000000.pt", tmp_path / "notes-000000-final.txt"]
    for file in others:
        file.write_text("mine")

    def full(*_args):
        raise OSError("no space left")

    monkeypatch.setattr(CheckpointFolder, "_put_segments", full)
    with pytest.raises(OSError, match="no space left"):
        new_agent().learn(40, CheckpointCallback(tmp_path))
    assert all(file.read_text() == "mine" for file in others)
    assert not list(tmp_path.glob("state-*"))


def test_the_folder_of_another_agent_is_left_to_others(tmp_path):
    new_agent().learn(40, CheckpointCallback(tmp_path))
    callback = CheckpointCallback(tmp_path)
    with pytest.raises(ValueError, match="checkpoints of another run"):
        new_agent().learn(40, callback)
    assert (tmp_path / LOCK_FILE).read_text() == ""  # nobody holds it


def test_after_an_error_in_training_the_folder_can_be_released(tmp_path):
    def fail():
        raise RuntimeError("of the environment")

    callback = CheckpointCallback(tmp_path)
    with pytest.raises(RuntimeError, match="of the environment"):
        new_agent().learn(40, [callback, At(20, fail)])
    assert (tmp_path / LOCK_FILE).read_text()
    callback.release()
    assert (tmp_path / LOCK_FILE).read_text() == ""
