"""Everything public, called with wrong arguments: a result or a documented error, and never more.

A call may return; raise an error that its docstring names under ``Raises``, with a message that
tells which argument was wrong or what was given; or raise ``TypeError`` for a value of a type that
it does not take. It may not hang, and a write that failed leaves no part of a file behind.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import re
import signal
import warnings
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import fuzz_targets
from tests.fuzz.fuzz_targets import TARGETS
from tests.fuzz.fuzz_values import replacement

SECONDS = 20
"""How long a call may take."""

CALLS: Counter[str] = Counter()
EXAMPLES = {False: 30, True: 180}
"""Calls of each target in the default run, and in the slow one."""

PACKAGES = ("", "envs", "wrappers", "goals", "replay", "planners", "agents", "evaluation", "report",
            "conformance")  # fmt: skip
ELSEWHERE = {
    "AgentFileError": "an exception",
    "GoalSetError": "an exception",
    "Pictures": "a record without checks",
    "PlanState": "a record without checks",
    "Rate": "a record without checks",
    "RunConfig": "a record without checks",
    "CheckReport": "a record without checks",
    "CheckResult": "a record without checks",
    "CheckpointCallback": "called by a training run alone",
    "CheckpointError": "an exception",
    "DiscernPolicy": "built by its agent, which is called here",
    "GCSLPolicy": "built by its agent",
    "GlamorPolicy": "built by its agent",
    "HindsightFrameBuffer": "built by agents of another library",
    "Planner": "an interface",
    "StopRequest": "called by a training run alone",
    "TrainingInterrupted": "an exception",
    "plan": "takes folded networks; called by the agent's plan",
    "plan_by_duration": "takes encoded pairs; called by the agent's plan",
    "planner_for": "called by the agent's plan",
    "record_result": "writes to a logger",
    "register_zoo": "changes another library",
    "render_page": "takes records read by write_report",
    "shortest_path_rate": "evaluate on one more figure",
    "versions": "takes nothing",
    "write_report": "takes a run; tested with damaged ones",
}
"""Public names that are not called here, and why."""


class HangError(BaseException):
    """A call took too long."""


@contextlib.contextmanager
def bounded_time():
    def interrupt(*_):
        raise HangError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def documented_errors(target) -> set[str]:
    """Return the names of the errors under ``Raises`` in the docstrings of a target."""
    names: set[str] = set()
    for item in target.documented:
        _, _, after = (inspect.getdoc(item) or "").partition("Raises:\n")
        section = re.split(r"\n\S", after)[0]
        names |= {name.split(".")[-1] for name in re.findall(r"^ {4}([\w.]+):", section, re.M)}
    return names


def fuzz(name: str, data: st.DataObject, folder: Path) -> None:
    """Call a target once with one or two of its arguments replaced."""
    target = TARGETS[name]
    arguments = target.right(folder)
    open_to_change = [key for key in arguments if key not in target.fixed]
    changed = data.draw(st.lists(st.sampled_from(open_to_change), min_size=1, max_size=2))
    wrong = {key: data.draw(replacement(arguments[key]), label=key) for key in changed}
    before = set(folder.rglob("*"))
    CALLS[name] += 1
    raised = None
    try:
        with bounded_time():
            target.call(**arguments | wrong)
    except TypeError:
        pass
    except Exception as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if not kinds & documented_errors(target):
            raise
        raised = error
    names_file = isinstance(raised, OSError) and raised.filename is not None
    assert raised is None or names_file or tells(str(raised), wrong), f"{raised!r} of {wrong}"
    left = {path.name for path in set(folder.rglob("*")) - before}
    assert not [name for name in left if name.startswith(".")], f"half-written files: {left}"


def tells(message: str, wrong: dict) -> bool:
    """Return whether a message names an argument or says what was given for it."""
    given = list(wrong)
    for value in wrong.values():
        given += [str(value)[:20], repr(value)[:20]]
        given += [str(key) for key in value] if isinstance(value, dict) else []
    # Records name their own parts: the labels of a goal list, the moments of a trajectory.
    parts = (
        "label",
        "bounds",
        "space",
        "preset",
        "agent",
        "encoder",
        "NAME=VALUE",
        "moment",
        "task must",
    )
    return any(part and part in message for part in (*given, *parts, "task must"))


def run(name: str, examples: int, tmp_path_factory, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(st.data())
    def one_call(data):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fuzz(name, data, tmp_path_factory.mktemp("call"))

    one_call()


SLOW = {"GlamorAgent", "GCSLAgent", "DiscernAgent"}
"""Targets that build networks at every call."""


@pytest.fixture(scope="module", autouse=True)
def _everything_imported():
    """Import what the first agent imports, which is not to count as the time of a call."""
    fuzz_targets.shared_agent()


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_wrong_argument_gives_a_documented_error(name, tmp_path_factory, monkeypatch):
    run(name, 5 if name in SLOW else EXAMPLES[False], tmp_path_factory, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_many_wrong_arguments_give_documented_errors(name, tmp_path_factory, monkeypatch):
    run(name, EXAMPLES[True], tmp_path_factory, monkeypatch)


@pytest.mark.slow
def test_there_were_ten_thousand_calls():
    total = sum(CALLS.values())
    print(f"{total:,} fuzzed calls of {len(CALLS)} targets")
    assert total >= 10_000


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_right_arguments_succeed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    TARGETS[name].call(**TARGETS[name].right(tmp_path))


def test_the_table_is_whole():
    missing = []
    for package in PACKAGES:
        module = importlib.import_module(f"glamor_gym.{package}".rstrip("."))
        for name in module.__all__:
            item = getattr(module, name)
            if not inspect.isroutine(item) and not inspect.isclass(item):
                continue
            entered = any(name == entry.partition(".")[0] for entry in TARGETS)
            if not entered and name not in ELSEWHERE:
                missing.append(f"{module.__name__}.{name}")
    assert not missing


def test_an_undocumented_error_would_be_found(tmp_path):
    def careless(number: int) -> float:
        """Return a share.

        Raises:
            ValueError: never.
        """
        return {1: 0.5}[number]

    fuzz_targets.target(careless, name="careless")(lambda folder: {"number": 1})
    try:

        @settings(max_examples=50, database=None, deadline=None)
        @given(st.data())
        def one_call(data):
            fuzz("careless", data, tmp_path)

        with pytest.raises(KeyError):
            one_call()
    finally:
        del TARGETS["careless"], CALLS["careless"]
    assert os.listdir(tmp_path) == []
