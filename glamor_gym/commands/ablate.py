"""``glamor-gym ablate``: the effect of single changes to GLAMOR.

In: :class:`~glamor_gym.commands.options.Ablate`. Out: the folder of the ablation (see
:mod:`glamor_gym.experiments.ablation`), and the differences on the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from glamor_gym.commands.assignments import parse_assignments
from glamor_gym.commands.console import terminal
from glamor_gym.commands.errors import checking_input
from glamor_gym.commands.options import Ablate
from glamor_gym.commands.workers import Crew, exit_code
from glamor_gym.experiments import RunSpec
from glamor_gym.experiments.ablation.planning import plan_ablation
from glamor_gym.experiments.ablation.record import AblationFolder, AblationRecord
from glamor_gym.experiments.ablation.report import Section, caution, write_ablation_report
from glamor_gym.experiments.folders import check_holds_no_other, jobs_to_do
from glamor_gym.experiments.spec import distinct


def ablate(options: Ablate, command: str) -> int:
    """Execute the unfinished runs, and report the results of all runs.

    Args:
        options: the command's options.
        command: the command line as typed, for the record.

    Returns:
        The exit code: 0; 1 if a run is not finished; 130 after Ctrl-C, SIGTERM or SIGHUP.

    Raises:
        InputError: an option is invalid, or does not fit what is in the folder.
    """
    folder = AblationFolder(options.out)
    with checking_input():
        check_holds_no_other("--out", folder.path, "an ablation")
        record, specs = _planned(options, folder)
        if not (options.change or folder.record_file.is_file()):
            raise ValueError(f"--change is needed: {folder.path} holds no ablation to go on with")
        crew = Crew.of(options)
        jobs = jobs_to_do(specs, folder, command=command, **crew.job_arguments)
        folder.write(record, command)
    print(f"{len(specs)} runs, {len(specs) - len(jobs)} of them finished already, in {folder.path}")
    # Variants that only plan differently evaluate agents of other runs, so those are trained first.
    training = [job for job in jobs if not job.spec.trained_in]
    interrupted = crew.run_jobs(training)
    with checking_input():
        # Looked up again, since agents that were trained just now have to be evaluated anew.
        playing = [spec for spec in specs if spec.trained_in]
        judging = jobs_to_do(playing, folder, command=command, **crew.job_arguments)
    if not interrupted:
        interrupted = crew.run_jobs(judging)
    with checking_input():
        panel = write_ablation_report(folder)
    print(f"report: {folder.report_file}")
    terminal().print(_table(panel))
    return exit_code([*training, *judging], interrupted)


def _planned(options: Ablate, folder: AblationFolder) -> tuple[AblationRecord, list[RunSpec]]:
    """Return the record of the whole ablation, and the runs requested by this call.

    Raises:
        ValueError: an option is invalid, or does not fit the ablation in the folder.
        TypeError: a setting has a value of the wrong type.
    """
    return plan_ablation(
        folder.record() if folder.record_file.is_file() else None,
        base=options.base,
        settings=parse_assignments("--set", options.set),
        changes=[_change(text) for text in options.change],
        tasks=options.tasks,
        held_out=options.held_out,
        seeds=options.seeds,
        held_out_goals=options.held_out_goals,
        steps=options.steps,
        minutes=options.minutes,
        n_envs=options.n_envs,
        eval_every=options.eval_every,
        episodes_per_goal=options.episodes_per_goal,
        env_kwargs=parse_assignments("--env", options.env) or None,
    )


def _change(text: str) -> dict[str, Any]:
    """Return the settings of a change; only a comma that precedes ``NAME=`` separates them.

    Raises:
        ValueError: a setting is not of the form ``NAME=VALUE``, or is given twice.
    """
    settings: Sequence[str] = re.split(r",(?=[A-Za-z_][\w.]*=)", text)
    distinct(f"settings of --change {text}", [each.partition("=")[0] for each in settings])
    return parse_assignments("--change", settings)


def _table(panel: Section) -> Table:
    """Return a table of each variant's difference from the base over the panel.

    Beside a difference stand the rates of the seeds and tasks that it is based on; without one,
    stands the rate of all that is finished.
    """
    caption = (
        f"means over the finished of {', '.join(panel.tasks)}; of the seeds that both have finished"
    )
    if told := caution(panel):
        caption += f". {told}"
    table = Table(
        "change", "goals reached", "base", "difference", "95 % interval", "tasks", "seeds",
        caption=caption,
    )  # fmt: skip
    n_tasks = len(panel.tasks)
    for row in panel.rows:
        rate, difference = row.overall.rate, row.overall.difference
        if difference is None:
            done = sum(cell.rate is not None for cell in row.cells)
            table.add_row(
                escape(row.variant),
                "–" if rate is None else f"{rate:.2f}",
                "",
                "",
                "",
                f"{done} of {n_tasks}",
            )
            continue
        table.add_row(
            escape(row.variant),
            f"{difference.ours:.2f}",
            f"{difference.base:.2f}",
            f"{difference.value:+.2f}",
            f"{difference.low:+.2f} to {difference.high:+.2f}",
            f"{difference.tasks} of {n_tasks}",
            str(difference.seeds),
        )
    return table
