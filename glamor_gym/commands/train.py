"""``glamor-gym train``: a run from its options to its page.

In: :class:`~glamor_gym.commands.options.Train`. Out: the folder of the run (see
:mod:`glamor_gym.evaluation.run_folder`), and a table on the terminal.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.env_util import make_vec_env

from glamor_gym.agents import GlamorAgent, GlamorSettings
from glamor_gym.commands.assignments import parse_assignments
from glamor_gym.commands.device import checked_device
from glamor_gym.commands.errors import checking_input
from glamor_gym.commands.options import (
    EPISODES_PER_GOAL,
    N_ENVS,
    PRESET,
    SEED,
    STEPS,
    Train,
)
from glamor_gym.commands.tables import result_table, terminal
from glamor_gym.evaluation import EvaluationCallback, RunConfig, RunFolder, StopAfter, versions
from glamor_gym.report import write_report
from glamor_gym.tasks import get_task

EVALUATIONS = 5
"""How many evaluations a run has where ``--eval-every`` is not given."""

LOG_ENTRIES = 200
"""About how many rows of training figures a run logs."""

PICTURES = 30
"""For how many goals the page shows pictures."""


def train(options: Train, command: str) -> int:
    """Begin a run, or go on with one, and report what came of it.

    Args:
        options: what was asked for.
        command: the same as it was typed, for the record.

    Returns:
        The exit code: 0, or 130 where Ctrl-C came before there was anything to report.

    Raises:
        InputError: an option is wrong, or does not fit the run that is there.
    """
    with checking_input():
        run, config = _plan(options, command)
        agent = _agent(run, config, checked_device(options.device))
        evaluation = EvaluationCallback(
            config.task,
            config.eval_every,
            final_episodes_per_goal=config.episodes_per_goal,
            seed=config.seed,
            env_kwargs=config.env_kwargs,
            record=PICTURES,
            run_folder=run,
            verbose=1,
        )
        limits = [StopAfter(options.minutes)] if options.minutes is not None else []
        config = dataclasses.replace(config, hardware=_hardware(agent))
        run.write_config(config)
        agent.set_logger(run.logger(resume_at=agent.num_timesteps))

    progress = f"step {agent.num_timesteps:,} of {config.steps:,}"
    print(f"{config.task}: {progress}, in {run.path}", flush=True)
    began = time.monotonic()
    try:
        _learn(agent, config, evaluation, limits)
    except KeyboardInterrupt:
        print(f"interrupted at step {agent.num_timesteps:,}")
    run.save_agent(agent)
    run.save_replay(agent)
    seconds = config.train_seconds + time.monotonic() - began
    run.write_config(dataclasses.replace(config, train_seconds=seconds))

    result = run.evaluation()
    if result is None:
        print(f"not evaluated yet; go on with: glamor-gym train --run-dir {run.path}")
        return 130
    terminal().print(result_table(result, name="this run"))
    print(f"report: {write_report(run)}")
    return 0


def _learn(
    agent: GlamorAgent,
    config: RunConfig,
    evaluation: EvaluationCallback,
    limits: list[StopAfter],
) -> None:
    """Take the steps that are left; where none are, evaluate only."""
    steps_left = config.steps - agent.num_timesteps
    if steps_left <= 0:
        evaluation.init_callback(agent)
        evaluation.on_training_end()
        return
    agent.learn(
        steps_left,
        callback=[evaluation, *limits],
        log_interval=max(1, config.steps // (agent.horizon * LOG_ENTRIES)),
        reset_num_timesteps=False,
        progress_bar=sys.stderr.isatty(),
    )


# ------------------------------------------------------------------------- what is to be run


def _plan(options: Train, command: str) -> tuple[RunFolder, RunConfig]:
    """Return the run's folder, and what is to be run: anew, or as it was begun.

    Raises:
        ValueError: an option is wrong, or does not fit the run that is there.
    """
    run = RunFolder(options.run_dir or _default_folder(options))
    settings = parse_assignments("--set", options.set)
    env_kwargs = parse_assignments("--env", options.env)
    _check_settings(settings)
    for name in ("steps", "n_envs", "eval_every", "episodes_per_goal"):
        number = getattr(options, name)
        if number is not None and number < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {number}")
    if run.holds_a_run():
        config = _resumed(run, options, settings, env_kwargs)
    else:
        config = _new(options, settings, env_kwargs)
    return run, dataclasses.replace(
        config, commands=[*config.commands, command], versions=versions()
    )


def _default_folder(options: Train) -> Path:
    preset = PRESET if options.preset is None else options.preset
    seed = SEED if options.seed is None else options.seed
    return Path("runs") / f"{get_task(_task(options)).name}-{preset}-{seed}"


def _task(options: Train) -> str:
    if options.task is None:
        raise ValueError("--task is needed, or --run-dir with the folder of a run to go on with")
    return get_task(options.task).id


def _check_settings(settings: Mapping[str, Any]) -> None:
    known = [*GlamorSettings.names(), "policy_kwargs"]
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
            raise ValueError(f"--set {name}: there is no such setting; {hint}")


def _new(options: Train, settings: dict[str, Any], env_kwargs: dict[str, Any]) -> RunConfig:
    preset = GlamorAgent.preset(options.preset or PRESET)
    policy_kwargs = preset.pop("policy_kwargs") | settings.pop("policy_kwargs", {})
    steps = options.steps or STEPS
    return RunConfig(
        task=_task(options),
        agent=GlamorAgent.__name__,
        preset=options.preset or PRESET,
        settings=preset | settings,
        policy_kwargs=policy_kwargs,
        env_kwargs=env_kwargs,
        seed=SEED if options.seed is None else options.seed,
        n_envs=options.n_envs or N_ENVS,
        steps=steps,
        eval_every=options.eval_every or max(1, steps // EVALUATIONS),
        episodes_per_goal=options.episodes_per_goal or EPISODES_PER_GOAL,
        commands=[],
        versions={},
        hardware="",
    )


def _resumed(
    run: RunFolder, options: Train, settings: dict[str, Any], env_kwargs: dict[str, Any]
) -> RunConfig:
    """Return the configuration of the run that is there, with what may change changed.

    Raises:
        ValueError: an option would change what a run cannot change on its way.
    """
    config = run.config()
    asked: dict[str, Any] = {
        "--task": options.task and get_task(options.task).id,
        "--preset": options.preset,
        "--seed": options.seed,
        "--n-envs": options.n_envs,
    }
    there: dict[str, Any] = {
        "--task": config.task,
        "--preset": config.preset,
        "--seed": config.seed,
        "--n-envs": config.n_envs,
    }
    policy_kwargs = settings.pop("policy_kwargs", {})
    for option, values, begun_with in (
        ("--set ", settings, config.settings),
        ("--set policy_kwargs.", policy_kwargs, config.policy_kwargs),
        ("--env ", env_kwargs, config.env_kwargs),
    ):
        asked |= {option + name: value for name, value in values.items()}
        there |= {option + name: value for name, value in begun_with.items()}
    for option, value in asked.items():
        if value is not None and value != there.get(option):
            raise ValueError(
                f"{run.path} holds a run with {option} {there.get(option)}, got {value}; "
                "take another --run-dir for a new run"
            )
    return dataclasses.replace(
        config,
        steps=options.steps or config.steps,
        eval_every=options.eval_every or config.eval_every,
        episodes_per_goal=options.episodes_per_goal or config.episodes_per_goal,
    )


# ----------------------------------------------------------------------- what it is run with


def _agent(run: RunFolder, config: RunConfig, device: str) -> GlamorAgent:
    """Return a new agent, or the one of the run's checkpoint with its replay."""
    env = make_vec_env(config.task, config.n_envs, env_kwargs=config.env_kwargs)
    if not run.holds_a_checkpoint():
        return GlamorAgent(
            env,
            **config.settings,
            policy_kwargs=config.policy_kwargs,
            seed=config.seed,
            device=device,
        )
    agent = GlamorAgent.load(run.agent_file, env=env, device=device)
    if run.replay_file.is_file():
        agent.load_replay_buffer(run.replay_file)
    return agent


def _hardware(agent: GlamorAgent) -> str:
    if agent.device.type == "cuda":
        return torch.cuda.get_device_name(agent.device)
    return f"{os.cpu_count()} CPU cores, PyTorch threads: {torch.get_num_threads()}"
