from __future__ import annotations

import dataclasses
import math
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from glamor_gym.evaluation import RunConfig, RunFolder
from glamor_gym.report import render_page, write_report
from glamor_gym.types import EpisodeFrames, EvaluationResult

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 80, 104), dtype=np.uint8)

CONFIG = RunConfig(
    task="glamor/Seaquest-v0",
    agent="GlamorAgent",
    preset="compact",
    settings={"learning_rate": 5e-4},
    policy_kwargs={"encoder": "compact"},
    env_kwargs={"sticky": 0.0},
    seed=3,
    n_envs=2,
    steps=12_000,
    eval_every=50,
    episodes_per_goal=1,
    commands=["glamor-gym train --task Seaquest", "glamor-gym train --run-dir <a & b>"],
    versions={"python": "3.12.1", "torch": "2.13"},
    hardware="2 CPU cores",
    train_seconds=90.0,
)

RESULT = EvaluationResult(
    task="glamor/Seaquest-v0",
    success_rate=17 / 30,
    confidence_interval=(0.392, 0.726),
    image_match_rate=0.1,
    per_goal={0: 1.0, 1: 0.0},
    per_label={"player_x": 0.8, "player_y": 0.61},
    random=0.07,
    noop=0.03,
    random_interval=(0.02, 0.21),
    noop_interval=(0.01, 0.17),
    reached_rate=0.77,
    mean_length=48.46,
    episodes=30,
    seed=3,
    goals_hash="0123abcd",
    frames=[
        EpisodeFrames(goal_index=k, goal=FRAMES[0], frames=FRAMES, success=k < 3) for k in range(10)
    ],
)

METRICS = pd.DataFrame(
    {
        "step": [10, 20],
        "eval/success_rate": [0.1, 0.5],
        "eval/success_low": [0.0, 0.3],
        "eval/success_high": [0.3, 0.7],
        "train/inverse_loss": [2.9, 2.7],
        "train/prior_loss": [2.9, 2.8],
    }
)


class Page(HTMLParser):
    """The text of a page, its sections, and what it refers to; its tags have to match."""

    VOID = ("img", "meta", "br")

    def __init__(self, html):
        super().__init__()
        self.open, self.text, self.sources, self.headings = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.sources += [attributes[name] for name in ("src", "href") if name in attributes]
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
        "77% within reach at some step 48.5 steps a try",
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
    ],
)
def test_the_page_says(page, words):
    assert words in page.words


def test_the_page_needs_nothing_but_itself(page):
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)


def test_every_recorded_goal_is_shown_and_some_move(page):
    kinds = [source.split(";")[0] for source in page.sources]
    assert kinds.count("data:image/svg+xml") == 3
    assert kinds.count("data:image/webp") == 6
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


def test_what_is_not_known_is_left_out():
    bare = dataclasses.replace(
        RESULT,
        task="glamor/GridWorld-v0",
        per_label={},
        random=math.nan,
        noop=math.nan,
        random_interval=(math.nan, math.nan),
        noop_interval=(math.nan, math.nan),
        frames=[],
    )
    config = dataclasses.replace(CONFIG, task="glamor/GridWorld-v0")
    page = Page(render_page(config, bare, pd.DataFrame({"step": [1]})))
    assert "1 environment steps" in page.words
    assert page.headings == ["Beside chance and the paper", "To run this again"]
    assert "– random agent" in page.words
    assert "nan" not in page.words
    assert "paper, whose" not in page.words


def test_the_page_of_a_run_is_written_into_its_folder(tmp_path):
    run = RunFolder(tmp_path)
    run.write_config(CONFIG)
    with pytest.raises(ValueError, match="holds no evaluation to report"):
        write_report(run)
    run.save_evaluation(RESULT)
    METRICS.to_csv(run.metrics_file, index=False)
    assert write_report(run) == tmp_path / "report.html"
    assert Page((tmp_path / "report.html").read_text()).headings[0] == "Beside chance and the paper"


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        write_report(RunFolder(tmp_path))
