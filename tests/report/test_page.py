from __future__ import annotations

import dataclasses
import math
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from matplotlib.figure import Figure

from glamor_gym.evaluation import RunFolder
from glamor_gym.report import page as page_module
from glamor_gym.report import render_page, write_report
from glamor_gym.report.page import CELLS
from glamor_gym.report.style import plot
from tests.report.sample_run import CONFIG, METRICS, RESULT

BARE = dataclasses.replace(RESULT, frames=[])
"""A result without films, which take long to draw."""


class Page(HTMLParser):
    """The text of a page, its sections, and what it refers to; its tags have to match."""

    VOID = ("img", "meta", "br", "source")

    def __init__(self, html):
        super().__init__()
        self.open, self.text, self.sources, self.headings = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        named = ("src", "srcset", "href")
        self.sources += [attributes[name] for name in named if name in attributes]
        assert tag not in ("script", "link", "iframe")
        if tag == "img":
            assert attributes["alt"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
        if "style" not in self.open:
            self.text.append(data)

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture(scope="module")
def page():
    return Page(render_page(CONFIG, RESULT, METRICS))


@pytest.mark.parametrize(
    "words",
    [
        "glamor/Seaquest-v0",
        "57% goals reached: 17 of 30 episodes",
        "95% interval 39% to 73%",
        "7% random agent no-op agent 3%",
        "77% within reach at some step 48.5 steps per episode",
        "10% same picture at the end",
        "0.57 (0.39 to 0.73) 0.57 (0.06) 0.04 (0.04) 0.48 (0.08)",
        "arXiv:2012.02419",
        "player_x 80%",
        "player_y 61%",
        "glamor-gym train --task Seaquest glamor-gym train --run-dir <a & b>",
        "2 side by side; sticky = 0.0",
        "1.5 minutes on 2 CPU cores",
        "20 environment steps, seed 3",
        "SHA-256 0123abcd",
        "learning_rate = 0.0005, encoder = compact",
        "python 3.12.1, torch 2.13",
        "v0.1.0-3-gabcdef0",
    ],
)
def test_the_page_says(page, words):
    assert words in page.words


def test_the_page_needs_nothing_but_itself(page):
    assert page.sources
    assert all(re.match("data:(image|video)/", source) for source in page.sources)


def test_every_recorded_goal_is_shown_and_some_move(page):
    kinds = [source.split(";")[0] for source in page.sources]
    assert kinds.count("data:image/svg+xml") == 2 * 5  # for light pages and for dark ones
    assert kinds.count("data:video/webm") + kinds.count("data:image/webp") == 6
    assert kinds.count("data:image/png") == 6 + 2 * 10


def test_films_are_of_successes_and_failures_in_turn(page):
    told = re.findall(r"goal (\d+) (reached|missed) after 3 steps", page.words)
    assert told == [
        ("0", "reached"),
        ("3", "missed"),
        ("1", "reached"),
        ("4", "missed"),
        ("2", "reached"),
        ("5", "missed"),
    ]


def test_the_cells_of_too_many_goals_are_left_out(page):
    per_goal = dict.fromkeys(range(CELLS + 1), 1.0)
    many = dataclasses.replace(BARE, per_goal=per_goal, episodes=len(per_goal))
    words = Page(render_page(CONFIG, many, METRICS)).words
    assert "By goal" in page.words
    assert "By goal" not in words
    assert "By distance" in words


def test_episodes_are_counted_whole_though_a_rate_is_rounded():
    assert 13 / 90 * 90 < 13
    many = dataclasses.replace(
        BARE, success_rate=13 / 90, confidence_interval=(0.08, 0.23), episodes=90
    )
    assert "14% goals reached: 13 of 90 episodes" in Page(render_page(CONFIG, many, METRICS)).words


def test_bars_of_the_paper_stay_rates(monkeypatch):
    drawn = []
    monkeypatch.setattr(page_module, "rate_bars", lambda bars: drawn.extend(bars) or plot(Figure()))
    rare = dataclasses.replace(CONFIG, task="glamor/Boxing-v0")  # where the paper has 0.01 ± 0.02
    render_page(rare, BARE, METRICS)
    low, high = {bar.name: (bar.low, bar.high) for bar in drawn}["GCSL, paper"]
    assert (low, high) == (0.0, pytest.approx(0.03))


def test_what_is_not_known_is_left_out():
    bare = dataclasses.replace(
        BARE,
        task="glamor/GridWorld-v0",
        per_goal={},
        per_label={},
        distances={},
        random=math.nan,
        noop=math.nan,
        random_interval=(math.nan, math.nan),
        noop_interval=(math.nan, math.nan),
    )
    config = dataclasses.replace(CONFIG, task="glamor/GridWorld-v0")
    losses = {"train/inverse_loss": [math.nan], "train/prior_loss": [math.nan]}
    page = Page(render_page(config, bare, pd.DataFrame({"step": [1], **losses})))
    assert "1 environment steps" in page.words
    assert page.headings == ["Compared with the baselines and the paper", "To run this again"]
    assert "– random agent" in page.words
    assert "nan" not in page.words
    assert "paper, whose" not in page.words


def test_the_page_of_a_run_is_written_into_its_folder(tmp_path):
    run = RunFolder(tmp_path)
    run.write_config(CONFIG)
    with pytest.raises(ValueError, match="holds no evaluation to report"):
        write_report(run)
    run.save_evaluation(BARE)
    METRICS.to_csv(run.metrics_file, index=False)
    assert write_report(run) == tmp_path / "report.html"
    headings = Page((tmp_path / "report.html").read_text()).headings
    assert headings[0] == "Compared with the baselines and the paper"


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        write_report(RunFolder(tmp_path))


def test_the_page_of_a_run_that_goes_on_tells_the_steps_before_its_evaluation():
    beyond = pd.concat([METRICS, pd.DataFrame({"step": [30], "train/inverse_loss": [2.5]})])
    assert "20 environment steps" in Page(render_page(CONFIG, BARE, beyond)).words


def test_the_page_of_an_agent_from_another_run_tells_of_its_training(tmp_path):
    trainer, run = RunFolder(tmp_path / "trained"), RunFolder(tmp_path / "judged")
    trainer.write_config(dataclasses.replace(CONFIG, train_seconds=660.0, hardware="an abacus"))
    METRICS.to_csv(trainer.metrics_file, index=False)
    changes = {"trained_in": "trained", "goals": "held-out", "planner": {"n_trials": 5}}
    run.write_config(dataclasses.replace(CONFIG, train_seconds=0.0, **changes))
    run.save_evaluation(BARE)
    run.metrics_file.write_text("step,eval/success_rate\n0,0.5\n")
    write_report(run)
    words = Page(run.report_file.read_text()).words
    assert f"{METRICS['step'].max():,} environment steps" in words
    assert "11.0 minutes on an abacus" in words
    assert "evaluated on its held-out goals; planning with n_trials = 5" in words
    assert "trained in trained" in words
    assert "n_trials = 50" not in words
