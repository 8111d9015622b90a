"""``glamor-gym train``: train, evaluate and report one run.

In: :class:`~glamor_gym.commands.options.Train`. Out: the folder of the run (see
:mod:`glamor_gym.evaluation.run_folder`), and a table on the terminal.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path
from typing import Any

from glamor_gym.commands.assignments import parse_assignments
from glamor_gym.commands.console import terminal
from glamor_gym.commands.errors import checking_input
from glamor_gym.commands.options import Train
from glamor_gym.commands.tables import result_table
from glamor_gym.devices import checked_device
from glamor_gym.envs.rendering import RenderingError
from glamor_gym.evaluation import RunConfig, RunFolder
from glamor_gym.experiments import RunSpec, get_algorithm
from glamor_gym.experiments.execution import Run
from glamor_gym.experiments.folders import check_holds_no_other
from glamor_gym.experiments.run_config import is_finished
from glamor_gym.experiments.runs import prepare_run
from glamor_gym.experiments.spec import check_agent
from glamor_gym.files import check_writable
from glamor_gym.interruption import EndedBySignal
from glamor_gym.names import without_module
from glamor_gym.report import write_report
from glamor_gym.tasks import file_name


def train(options: Train, command: str) -> int:
    """Start or resume a run, and report its results; of a finished run, only tell them.

    Args:
        options: the command's options.
        command: the command line as typed, for the record.

    Returns:
        The exit code: 0 if the run is finished; 130 after Ctrl-C, 143 after SIGTERM and 129 after
        SIGHUP, with a checkpoint of the step at which it stopped; 1 if a loss became NaN, with the
        last checkpoint before that.

    Raises:
        InputError: an option is invalid, or does not fit what is in the folder.
    """
    with checking_input():
        folder = RunFolder(options.run_dir or _default_folder(options))
        check_holds_no_other("--run-dir", folder.path, "a run")
        try:
            check_writable(folder.path)
        except OSError as error:
            raise ValueError(
                f"--run-dir must be a folder to write to; {error.filename}: {error.strerror}"
            ) from error
        begun = folder.config() if folder.holds_a_run() else None
        spec, device = _spec(options, begun), checked_device(options.device)
        if begun is not None and begun.steps == spec.steps and is_finished(spec, folder):
            return _tell_of_finished(folder, begun)
        if begun is None:
            algorithm = get_algorithm(spec.algorithm)
            arguments = algorithm.arguments(spec.chosen_preset, spec.overrides)
            check_agent(algorithm, arguments, spec.steps, spec.n_envs)
        run = prepare_run(
            spec,
            folder,
            command=command,
            device=device,
            verbose=1,
            progress_bar=sys.stderr.isatty(),
        )
    progress = f"step {run.steps_taken:,} of {run.config.steps:,}"
    print(f"{run.config.task}: {progress}, in {folder.path}", flush=True)
    if run.out_of_time:
        print(f"its {run.config.minutes:g} minutes are used up; --steps or --minutes gives it more")
    try:
        run.complete()
    except BrokenPipeError:  # standard output was closed
        raise
    except (OSError, RenderingError) as error:
        return _stopped(run, error)
    except (KeyboardInterrupt, FloatingPointError) as error:
        if not folder.config().finished:
            return _stopped(run, error)
    write_report(folder)
    return _tell_results(folder)


def _tell_of_finished(folder: RunFolder, config: RunConfig) -> int:
    """Print that a run is finished, and its results; return the exit code."""
    goes_on = get_algorithm(config.algorithm).resumes and folder.holds_a_checkpoint()
    budget = "--steps" if config.minutes is None else "--steps or --minutes"
    more = f"; more {budget} continue it" if goes_on else ""
    print(f"{config.task}: finished already, in {folder.path}{more}", flush=True)
    # A page that is there may show more than is left: frames are not kept everywhere.
    if not folder.report_file.is_file():
        write_report(folder)
    return _tell_results(folder)


def _tell_results(folder: RunFolder) -> int:
    """Print the results of a finished run; return the exit code."""
    result = folder.evaluation(frames=False)
    assert result is not None  # every finished run has an evaluation
    terminal().print(result_table(result, name="this run"))
    print(f"report: {folder.report_file}")
    return 0


def _stopped(run: Run, error: BaseException) -> int:
    """Print how to continue an interrupted run; return the exit code."""
    again = "resume" if get_algorithm(run.config.algorithm).resumes else "start over"
    with contextlib.suppress(OSError):  # the terminal may be gone
        print(f"stopped at step {run.steps_taken:,}: {str(error) or 'interrupted'}")
        folder = shlex.quote(str(run.folder.path))
        if run.folder.evaluation_file.is_file():
            print(f"its page so far: glamor-gym report {folder}")
        print(f"{again} with: glamor-gym train --run-dir {folder}")
    if isinstance(error, FloatingPointError | OSError | RenderingError):
        return 1
    return error.exit_code if isinstance(error, EndedBySignal) else 130


def _default_folder(options: Train) -> Path:
    spec = RunSpec(_task(options), options.agent or RunSpec.algorithm, options.preset)
    seed = RunSpec.seed if options.seed is None else options.seed
    own = () if spec.algorithm == RunSpec.algorithm else (without_module(spec.algorithm),)
    parts = [file_name(spec.task), *own, spec.chosen_preset, str(seed)]
    return Path("runs") / "-".join(parts)


def _task(options: Train) -> str:
    if options.task is None:
        raise ValueError("--task is needed, or --run-dir with the folder of a run to resume")
    return options.task


def _anew(options: Train, begun: RunConfig) -> set[str]:
    """Return the names of settings that a resumed run does not keep because --steps is given.

    An explicit --steps lifts an earlier time limit, which might otherwise prevent the steps.
    """
    if options.steps is None:
        return set()
    return {"minutes"} if options.steps == begun.steps else {"minutes", "eval_every"}


def _spec(options: Train, begun: RunConfig | None) -> RunSpec:
    """Return the spec of the run; an existing run keeps what no option sets.

    Raises:
        ValueError: an option is invalid.
    """
    named: dict[str, Any] = {
        "algorithm": options.agent,
        "preset": options.preset,
        "seed": options.seed,
        "steps": options.steps,
        "n_envs": options.n_envs,
        "eval_every": options.eval_every,
        "episodes_per_goal": options.episodes_per_goal,
        "minutes": options.minutes,
        "checkpoint_minutes": options.checkpoint_minutes,
        "collect": options.collect,
    }
    if begun is not None:
        kept = named.keys() - _anew(options, begun)
        if options.agent not in (None, begun.algorithm):
            # The preset may not be one of the other agent's, and it is the agent that is refused.
            kept -= {"preset"}
        named |= {name: getattr(begun, name) for name in kept if named[name] is None}
    return RunSpec(
        task=begun.task if begun is not None and options.task is None else _task(options),
        overrides=parse_assignments("--set", options.set),
        env_kwargs=parse_assignments("--env", options.env),
        **{name: value for name, value in named.items() if value is not None},
    )
