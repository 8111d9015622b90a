"""``glamor-gym report``: the report of a run, a benchmark or an ablation.

In: :class:`~glamor_gym.commands.options.Report`. Out: ``report.html`` in the folder, and
the tables of a benchmark or an ablation.
"""

from __future__ import annotations

from glamor_gym.commands.errors import checking_input
from glamor_gym.commands.options import Report
from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments.ablation.record import AblationFolder
from glamor_gym.experiments.ablation.report import write_ablation_report
from glamor_gym.experiments.benchmark.record import BenchmarkFolder
from glamor_gym.experiments.benchmark.report import write_benchmark_report
from glamor_gym.experiments.folders import RECORD_FILES
from glamor_gym.report import write_report


def report(options: Report, _command: str) -> int:
    """Write the report of a folder.

    Raises:
        InputError: the folder holds no evaluated run, benchmark or ablation, or one of its files is
            damaged.
    """
    with checking_input():
        run, benchmark = RunFolder(options.path), BenchmarkFolder(options.path)
        ablation = AblationFolder(options.path)
        if run.holds_a_run():
            write_report(run)
            file = run.report_file
        elif benchmark.record_file.is_file():
            write_benchmark_report(benchmark)
            file = benchmark.report_file
        elif ablation.record_file.is_file():
            write_ablation_report(ablation)
            file = ablation.report_file
        elif (options.path / RECORD_FILES["a reproduction"]).is_file():
            raise ValueError(
                f"{options.path} holds a reproduction, with a page in the folder of each table or "
                "figure, README.md; `glamor-gym reproduce` writes it again, by the command in "
                f"{RECORD_FILES['a reproduction']}"
            )
        else:
            files = [run.config_file, benchmark.record_file, ablation.record_file]
            raise ValueError(
                f"{options.path} holds neither a run nor a benchmark nor an ablation: it contains "
                f"none of {', '.join(file.name for file in files)}"
            )
    print(f"report: {file}")
    return 0
