"""Differences from a base, held against hand computations; and what is told of runs that failed."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from glamor_gym.agents import GlamorAgent
from glamor_gym.commands import ablate
from glamor_gym.commands.console import terminal
from glamor_gym.evaluation import RunFolder, newcombe_interval
from glamor_gym.experiments.ablation.planning import plan_ablation
from glamor_gym.experiments.ablation.record import AblationFolder
from glamor_gym.experiments.ablation.report import (
    Section,
    _row,
    _section,
    caution,
    write_ablation_report,
)
from glamor_gym.experiments.ablation.results import (
    Scores,
    ablation_table,
    bootstrap_interval,
    panel_difference,
    task_difference,
    variant_scores,
)
from glamor_gym.experiments.engines import LocalEngine
from glamor_gym.experiments.folders import jobs_to_do
from glamor_gym.experiments.worker import run_job
from tests.command_line import run
from tests.experiments.small_runs import SMALL, blank_pages

WORDS = ["--tasks", "Dice", "--steps", "120", "--n-envs", "2", "--episodes-per-goal", "1"]
WORDS += ["--set", "learning_starts=50", "--set", "batch_size=20", "--set", "replay_ratio=1"]
WORDS += ["--set", "policy_kwargs.embedding_size=16", "--device", "cpu"]


def scores(by_seed, tries=2):
    return Scores(pd.DataFrame.from_dict(by_seed, orient="index"), tries)


# ------------------------------------------------------------------------------- differences


def test_on_one_task_it_is_newcombes_interval_of_all_episodes():
    # Four goals, two tries each: 5 of 8 and 7 of 8 episodes here, 2 of 8 and 4 of 8 there.
    variant = scores({0: [1.0, 0.5, 0.5, 0.5], 1: [1.0, 1.0, 1.0, 0.5]})
    base = scores({0: [0.5, 0.5, 0.0, 0.0], 1: [0.5, 0.5, 0.5, 0.5]})
    difference = task_difference(variant, base)
    assert difference.value == pytest.approx(12 / 16 - 6 / 16)
    assert (difference.low, difference.high) == newcombe_interval((12, 16), (6, 16))
    assert (difference.tasks, difference.seeds) == (1, 2)


@pytest.mark.parametrize(
    ("variant", "base", "verdict"),
    [
        ([1.0, 0.9, 1.0], [0.1, 0.0, 0.1], "better"),
        ([1.0, 1.0, 1.0], [0.1, 0.1, 0.1], "better"),  # without any spread over seeds
        ([1.0, 1.0], [0.0, 0.0], ""),  # agents with the same settings may differ as much
        ([1.0, 0.2, 1.0], [0.0, 0.8, 0.2], ""),  # enough episodes: but seeds disagree
    ],
)
def test_better_is_what_episodes_and_seeds_agree_on(variant, base, verdict):
    ours, theirs = (
        scores({seed: [rate] * 4 for seed, rate in enumerate(rates)}, tries=10)
        for rates in (variant, base)
    )
    difference = task_difference(ours, theirs)
    assert difference.low > 0  # by episodes alone, every one of them is
    assert difference.verdict == verdict
    opposite = {"better": "worse", "": ""}[verdict]
    assert task_difference(theirs, ours).verdict == opposite
    panel = panel_difference({"Pong": ours}, {"Pong": theirs}, ["Pong", "Qbert"])
    assert panel == difference


def test_over_tasks_too_seeds_have_to_agree():
    # Two of three agents gain, and each task has goals enough: the bootstrap alone is sure of it.
    gains = np.array([0.1, 0.1, 0.6])
    base = {task: scores({seed: [0.2] * 40 for seed in range(3)}) for task in ("a", "b")}
    variant = {
        task: scores({seed: [0.2 + gain] * 40 for seed, gain in enumerate(gains)})
        for task in ("a", "b")
    }
    difference = panel_difference(variant, base, ["a", "b"])
    assert difference.low > 0
    assert difference.verdict == ""  # by hand, t = 0.267 / (0.289 / √3) = 1.6
    # A seed that is high on one task and low on the other has the mean of both.
    variant["b"] = scores({seed: [0.2 + gain] * 40 for seed, gain in enumerate(0.7 - gains)})
    assert panel_difference(variant, base, ["a", "b"]).verdict == "better"


def test_over_tasks_the_seeds_that_count_are_on_all_of_them():
    base = {task: scores({seed: [0.0] * 4 for seed in range(4)}) for task in ("a", "b")}
    seeds = {"a": (0, 1, 2), "b": (1, 2, 3)}
    variant = {task: scores(dict.fromkeys(seeds[task], [1.0] * 4)) for task in seeds}
    difference = panel_difference(variant, base, ["a", "b"])
    assert (difference.seeds, difference.verdict) == (3, "")  # only two are on both


def test_agents_that_only_plan_otherwise_are_compared_seed_by_seed():
    base = scores({seed: [rate] * 10 for seed, rate in enumerate((0.2, 0.5, 0.6))}, tries=20)
    variant = scores({seed: [rate] * 10 for seed, rate in enumerate((0.4, 0.7, 0.8))}, tries=20)
    assert task_difference(variant, base).verdict == ""
    assert task_difference(variant, base, same_agents=True).verdict == "better"
    pair = {"a": variant, "b": variant}, {"a": base, "b": base}, ["a", "b"]
    assert panel_difference(*pair).verdict == ""
    assert panel_difference(*pair, same_agents=True).verdict == "better"
    record, _ = plan_ablation(
        None,
        changes=[{"planner": {"n_trials": 1}}, {"gamma": 0.5, "planner": {"n_trials": 1}}],
        tasks=["GridWorld", "Dice"],
    )
    found = {
        name: dict.fromkeys(record.tasks, base if name == "base" else variant)
        for name in record.variants
    }
    table = pd.DataFrame(columns=["goals", "task", "random", "noop"])
    section = _section("", record, record.tasks, found, table, "eval")
    assert {
        row.variant: {cell.difference.verdict for cell in (row.overall, *row.cells)}
        for row in section.rows[1:]
    } == {
        "planner.n_trials=1": {"better"},
        "gamma=0.5": {""},
        "gamma=0.5, planner.n_trials=1": {""},  # of agents of its own
    }


def test_over_tasks_too_few_seeds_decide_nothing():
    def both(**seeds):
        variant, base = (
            {task: scores({seed: [rate] * 4 for seed in range(n)}) for task, n in seeds.items()}
            for rate in (1.0, 0.0)
        )
        return panel_difference(variant, base, [*seeds])

    assert both(a=2, b=2).low > 0
    assert both(a=2, b=2).verdict == ""
    assert both(a=3, b=3).verdict == "better"
    assert (both(a=3, b=2).seeds, both(a=3, b=2).verdict) == (2, "")


def test_only_seeds_that_both_have_finished_are_compared():
    variant = scores({1: [1.0, 1.0], 2: [0.0, 0.0]})
    base = scores({0: [1.0, 1.0], 1: [0.5, 0.0]})
    difference = task_difference(variant, base)
    assert difference.value == pytest.approx(0.75)
    assert (difference.low, difference.high) == newcombe_interval((4, 4), (1, 4))
    assert difference.seeds == 1
    assert task_difference(scores({5: [1.0, 1.0]}), base) is None
    assert task_difference(None, base) is None


def test_over_tasks_it_is_the_mean_of_the_tasks_that_both_have():
    variant = {"Pong": scores({0: [1.0, 0.5]}), "Qbert": scores({0: [0.0, 0.0, 0.5]})}
    base = {
        "Pong": scores({0: [0.5, 0.5]}),
        "Qbert": scores({0: [0.5, 0.5, 0.5]}),
        "Skiing": scores({0: [1.0]}),
    }
    difference = panel_difference(variant, base, ["Pong", "Qbert", "Skiing"])
    assert difference.value == pytest.approx((0.25 - 1 / 3) / 2)
    assert difference.tasks == 2
    assert panel_difference(variant, base, ["Skiing"]) is None


def test_over_one_task_the_interval_is_that_of_the_task():
    # No goal differs, but four episodes cannot tell that none ever would.
    same = scores({0: [1.0, 0.0]})
    difference = panel_difference({"Pong": same}, {"Pong": same, "Qbert": same}, ["Pong", "Qbert"])
    assert difference == task_difference(same, same)
    assert difference.low < 0 < difference.high


def test_rates_beside_a_difference_are_those_of_the_seeds_that_both_have():
    variant = {"Pong": scores({1: [1.0, 0.5], 2: [0.0, 0.0]}), "Qbert": scores({0: [0.5, 0.5]})}
    base = {
        "Pong": scores({0: [0.0, 0.0], 1: [0.5, 0.0]}),
        "Qbert": scores({0: [0.0, 0.5]}),
        "Skiing": scores({0: [1.0]}),
    }
    difference = panel_difference(variant, base, ["Pong", "Qbert", "Skiing"])
    assert difference.ours == pytest.approx((0.75 + 0.5) / 2)
    assert difference.base == pytest.approx((0.25 + 0.25) / 2)


def test_the_interval_over_tasks_is_that_of_drawn_seeds_and_goals():
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(3, 8)) + rng.normal(size=(3, 1)), rng.normal(size=(2, 5))]
    # The same by a plain loop.
    means = []
    for _ in range(4000):
        drawn = [
            table[np.ix_(rng.integers(len(table), size=len(table)),
                         rng.integers(table.shape[1], size=table.shape[1]))].mean()
            for table in tables
        ]  # fmt: skip
        means.append(np.mean(drawn))
    expected = np.quantile(means, [0.025, 0.975])
    assert bootstrap_interval(tables) == pytest.approx(tuple(expected), abs=0.08)
    assert bootstrap_interval(tables) == bootstrap_interval(tables)


def test_a_difference_that_is_everywhere_the_same_is_certain():
    assert bootstrap_interval([np.full((2, 3), 0.25)]) == pytest.approx((0.25, 0.25))


# ----------------------------------------------------------------------- a whole small ablation


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A base, a change that fails, one that plans otherwise, and one that nobody has begun."""
    folder = AblationFolder(tmp_path_factory.mktemp("ablation"))
    record, specs = plan_ablation(
        None,
        changes=[
            {"learning_rate": 1e38},  # allowed, and fails in training
            {"planner": {"n_trials": 1, "guided": False}},
            {"gamma": 0.5},
        ],
        settings=SMALL,
        tasks=["GridWorld"],
        held_out=["Dice"],
        steps=120,
        n_envs=2,
        episodes_per_goal=2,
    )
    folder.write(record, "glamor-gym ablate --change <a & b>")
    with blank_pages():
        for job in jobs_to_do(specs, folder, command="typed", device="cpu"):
            if "gamma" not in job.name:
                run_job(job)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    write_ablation_report(folder)
    return folder.report_file.read_text()


def test_the_table_has_every_run_that_was_asked_for(folder, page):
    table = pd.read_csv(folder.results_file).set_index("folder")
    assert len(table) == 4 * 2
    base = table.loc["GridWorld-base-0"]
    assert (base["variant"], base["state"], base["steps"], base["episodes"]) == (
        "base", "finished", 120, 60,
    )  # fmt: skip
    assert base["updates"] == (120 - 50) // 20  # learning_starts, and a sample a step
    assert base["train_minutes"] > 0
    failed = table.loc["GridWorld-learning_rate=1e+38-0"]
    assert failed["state"] == "failed"
    assert "inverse_loss is nan" in failed["error"]
    assert table.loc["GridWorld-gamma=0.5-0", "state"] == "waiting"
    planned = table[table["variant"] == "planner.n_trials=1, planner.guided=false"]
    # Its agents are the base's, and so are steps, updates and minutes of their training.
    assert planned["state"].tolist() == ["finished", "finished"]
    same = ["steps", "updates", "train_minutes"]
    assert planned.iloc[0][same].tolist() == base[same].tolist()
    assert table["held_out_task"].tolist() == (table["task"] == "Dice").tolist()


def test_tasks_that_are_held_out_do_not_count(folder):
    record = folder.record()
    found = variant_scores(folder, ablation_table(folder, record))
    planned = found["planner.n_trials=1, planner.guided=false"]
    difference = panel_difference(planned, found["base"], record.tasks)
    assert difference.value == pytest.approx(
        planned["GridWorld"].rate - found["base"]["GridWorld"].rate
    )
    assert difference.tasks == 1
    assert set(found["base"]) == {"GridWorld", "Dice"}


def test_rates_are_those_of_the_evaluations(folder):
    found = variant_scores(folder, ablation_table(folder, folder.record()))["base"]["GridWorld"]
    result = RunFolder(folder.runs / "GridWorld-base-0").evaluation()
    assert found.rates.loc[0].to_dict() == result.per_goal
    assert found.counts() == (round(60 * result.success_rate), 60)


def test_runs_on_other_goals_are_not_compared(folder):
    table = ablation_table(folder, folder.record())
    of_base = table["folder"] == "Dice-base-0"
    table["goals_hash"] = table["goals_hash"].mask(of_base, "0123456789abcdef")
    with pytest.raises(ValueError, match=r"runs of Dice .* Dice-base-0 on 0123456789ab; Dice-pl"):
        variant_scores(folder, table)
    table["goals_hash"] = table["goals_hash"].mask(of_base)
    assert set(variant_scores(folder, table)["base"]) == {"GridWorld", "Dice"}


def test_the_page_tells_all_of_it(folder, page):
    words = re.sub(r"\s+", " ", re.sub(r"<style>.*</style>|<[^>]*>", " ", page, flags=re.DOTALL))
    found = variant_scores(folder, ablation_table(folder, folder.record()))
    planned = "planner.n_trials=1, planner.guided=false"
    base, other = (found[name]["GridWorld"] for name in ("base", planned))
    low, high = newcombe_interval(other.counts(), base.counts())
    for told in (
        "compact, and 3 changes to it",
        "with fewer than 3 of them, none is called better or worse",
        "1 task, 120 environment steps each, seed 0; 4 of 8 runs finished",
        "learning_rate=1e+38: GridWorld, seed 0 FloatingPointError: inverse_loss is nan",
        "Tasks held out",
        f"{base.rate:.2f}",
        f"{other.rate - base.rate:+.2f}, {low:+.2f} to {high:+.2f}",
        "glamor-gym ablate --change &lt;a &amp; b&gt;",
        "random agent",
        "gymnasium 1.",
        "gamma=0.5 GridWorld eval 0 waiting",
    ):
        assert told in words
    assert "Goals held out" not in words


def test_the_page_needs_nothing_but_itself(page):
    sources = re.findall(r'(?:src|srcset)="([^"]*)"', page)
    assert len(sources) == 2
    assert all(source.startswith("data:image/svg+xml") for source in sources)
    assert "<script" not in page


def test_nothing_is_drawn_where_nothing_is_finished(tmp_path):
    folder = AblationFolder(tmp_path)
    record, _ = plan_ablation(None, changes=[{"gamma": 0.5}], tasks=["GridWorld"])
    folder.write(record, "typed")
    write_ablation_report(folder)
    page = folder.report_file.read_text()
    assert "<img" not in page
    assert pd.read_csv(folder.results_file)["state"].tolist() == ["waiting", "waiting"]


# --------------------------------------------------------------------------------- the command


@pytest.mark.usefixtures("in_process", "blank_pages")
def test_the_command_makes_runs_once_and_adds_to_them(capsys, tmp_path):
    out = ["--out", str(tmp_path)]
    words = ["--change", "stay_fraction=0.0,planner.stop=end"]
    code, told, _ = run(capsys, "ablate", *WORDS, *words, *out)
    assert code == 0
    assert "3 runs, 0 of them finished" in told
    assert "stay_fraction=0.0, planner.stop=end" in told
    first = pd.read_csv(tmp_path / "results.csv")
    assert first["variant"].tolist() == [
        "base", "stay_fraction=0.0", "stay_fraction=0.0, planner.stop=end",
    ]  # fmt: skip

    code, told, _ = run(capsys, "ablate", "--change", "gamma=0.5", *out)
    assert code == 0
    assert "2 runs, 1 of them finished" in told
    both = pd.read_csv(tmp_path / "results.csv")
    assert both["variant"].tolist() == [*first["variant"], "gamma=0.5"]
    pd.testing.assert_frame_equal(both.iloc[:3], first)

    (tmp_path / "report.html").unlink()
    code, told, _ = run(capsys, "report", str(tmp_path))
    assert (code, told) == (0, f"report: {tmp_path / 'report.html'}\n")
    assert "glamor-gym ablate --change gamma=0.5" in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("blank_pages")
def test_an_agent_that_was_trained_again_is_evaluated_again(capsys, tmp_path, monkeypatch):
    begun = []

    def run_jobs_here(self, jobs, tick):
        for job in jobs:
            begun.append(job.name)
            run_job(job)
            if not job.spec.trained_in:  # no two trainings come out the same
                file = RunFolder(job.folder).agent_file
                agent = GlamorAgent.load(file, device="cpu")
                agent.gamma = 1 / (1 + len(begun))
                agent.save(file)

    monkeypatch.setattr(LocalEngine, "run_jobs", run_jobs_here)
    words = ["ablate", *WORDS, "--change", "planner.stop=end", "--out", str(tmp_path)]
    names = ["Dice-base-0", "Dice-planner.stop=end-0"]
    assert run(capsys, *words)[0] == 0
    assert begun == names
    assert run(capsys, *words)[0] == 0
    assert begun == names
    base = RunFolder(tmp_path / "runs" / names[0])
    base.write_config(dataclasses.replace(base.config(), finished=False))
    assert run(capsys, *words)[0] == 0
    assert begun == [*names, *names]


@pytest.mark.usefixtures("in_process", "blank_pages")
def test_a_run_that_fails_gives_exit_code_1_and_is_kept(capsys, tmp_path):
    words = ["--change", "learning_rate=1e38", "--out", str(tmp_path)]
    code, told, _ = run(capsys, "ablate", *WORDS, *words)
    assert code == 1
    assert "learning_rate=1e+38-0 failed: FloatingPointError" in told
    assert pd.read_csv(tmp_path / "results.csv")["state"].tolist() == ["finished", "failed"]


def shown(compared):
    """Return the table on the terminal of the scores of variants on GridWorld."""
    rows = [
        _row(name, {"GridWorld": found}, {"GridWorld": compared["base"]}, ["GridWorld"])
        for name, found in compared.items()
    ]
    return ablate._table(Section("", ["GridWorld"], rows, {}))


def test_the_terminal_shows_the_rates_that_are_compared():
    table = shown(
        {
            "base": scores({0: [0.0, 0.0], 1: [0.5, 0.0]}),
            "gamma=0.5": scores({1: [1.0, 0.5], 2: [0.0, 0.0]}),
            "gamma=0.6": scores({2: [1.0, 1.0]}),  # no seed of the base
        }
    )
    names, *columns = (list(column.cells) for column in table.columns)
    rows = pd.DataFrame(columns, columns=names)
    low, high = newcombe_interval((3, 4), (1, 4))
    interval = f"{low:+.2f} to {high:+.2f}"
    assert rows["gamma=0.5"].tolist() == ["0.75", "0.25", "+0.50", interval, "1 of 1", "1"]
    assert rows["base"].tolist() == ["0.12", "", "", "", "1 of 1", ""]
    assert rows["gamma=0.6"].tolist() == ["1.00", "", "", "", "1 of 1", ""]
    assert "With one seed or on one task, an interval holds for these agents only" in table.caption


def test_the_terminal_tells_how_many_tasks_are_behind_each_number():
    base = {task: scores({seed: [0.5, 0.5] for seed in range(3)}) for task in ("Pong", "Qbert")}
    tasks = ["Pong", "Qbert", "Skiing"]
    rows = [_row(name, base, base, tasks) for name in ("base", "gamma=0.5")]
    table = ablate._table(Section("", tasks, [*rows, _row("gamma=0.6", {}, base, tasks)], {}))
    told = {column.header: list(column.cells) for column in table.columns}
    assert told["tasks"] == ["2 of 3", "2 of 3", "0 of 3"]
    assert told["seeds"] == ["", "3", ""]
    assert "Over few seeds a bootstrap's intervals are too narrow" in table.caption


def test_the_caution_is_by_the_fewest_seeds_of_a_difference_that_is_shown():
    def told(**seeds):
        given = {
            name: {task: scores({seed: [0.5] for seed in range(n)}) for task in ("a", "b")}
            for name, n in seeds.items()
        }
        rows = [_row(name, found, given["base"], ["a", "b"]) for name, found in given.items()]
        return caution(Section("", ["a", "b"], rows, {}))

    assert told(base=5, x=5) == ""
    assert told(base=5, x=5, y=4).startswith("Over few seeds")
    assert told(base=5, x=4, y=1).startswith("With one seed")
    assert told(base=1) == ""  # nothing is compared


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--change", "n_trails=7"], "did you mean n_trials"),
        (["--change", "gamma"], "--change takes NAME=VALUE, got 'gamma'"),
        (["--change", "gamma=0.9,gamma=0.8"], "gamma=0.8 must differ, got gamma, gamma"),
        (["--set", "gama=0.5"], "did you mean gamma"),
        (["--base", "papre"], "did you mean paper"),
        (["--change", "policy_kwargs.embedding_size=-1"], "embedding_size must be an integer"),
        (["--steps", "1000"], "learning_starts=2000 + batch_size / replay_ratio = 2"),
        (["--steps", "3000", "--change", "learning_starts=3000"], "learning_starts=3000 + batch"),
        (["--held-out", "GridWorld"], "held_out must differ from tasks"),
        ([], "--change is needed: "),
        (["--change", "gamma=0.8", "--jobs", "0"], "--jobs must be an integer ≥ 1"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(capsys, tmp_path, words, told):
    out = tmp_path / "out"
    code, printed, err = run(capsys, "ablate", "--tasks", "GridWorld", *words, "--out", str(out))
    assert (code, printed) == (2, "")
    assert told in err
    assert not out.exists()


def test_changes_with_brackets_are_shown_as_they_are(capsys):
    same, alone = scores({0: [0.0, 0.0], 1: [0.5, 0.0]}), scores({2: [0.0, 0.0]})
    compared = dict.fromkeys(("base", "name=[/old]", "name=[red]"), same)
    terminal().print(shown(compared | {"name=[/new]": alone}))
    told = capsys.readouterr().out
    assert all(f"name=[{word}] " in told for word in ("/old", "red", "/new"))
