"""Run checks and report the outcome.

In: a table of checks and their subject. Out: a report. A check is a function of one subject that
raises if something is wrong. The first line of its docstring is the claim, which holds if the check
passes; the text after ``Fix:`` says how to make it hold.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Subject = TypeVar("Subject")
Status = Literal["pass", "fail", "skip"]

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_MOST_CHARACTERS = 600
_NOT_RUN = "not run, because"


class CheckFailedError(Exception):
    """A check failed; the message says what was found."""


class NotApplicableError(Exception):
    """A check does not apply to its subject; the message says why."""


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check.

    Attributes:
        name: name of the check.
        status: ``"pass"``, ``"fail"``, or ``"skip"`` if it does not apply or was not run.
        claim: what holds if the check passes.
        detail: what was found: the fault, the reason for skipping, or warnings.
        fix: how to fix the subject, so that the claim holds.
    """

    name: str
    status: Status
    claim: str
    detail: str
    fix: str


@dataclass(frozen=True)
class CheckReport:
    """The outcomes of all checks of one environment or agent.

    Attributes:
        subject: name of the environment or agent.
        results: one result per check, in the order in which they were run.
    """

    subject: str
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed."""
        return tuple(result.name for result in self.results if result.status == "fail")

    @property
    def not_run(self) -> tuple[str, ...]:
        """Names of the checks that were not run, because another one failed."""
        return tuple(one.name for one in self.results if one.detail.startswith(_NOT_RUN))

    def as_dict(self) -> dict[str, Any]:
        """Return the report as values that JSON can represent."""
        return {
            "subject": self.subject,
            "passed": self.passed,
            "results": [dataclasses.asdict(result) for result in self.results],
        }

    def __str__(self) -> str:
        lines = [f"{self.subject}: {len(self.failed)} of {len(self.results)} checks failed"]
        for result in self.results:
            lines.append(f"{result.status:5}{result.name}: {result.detail or result.claim}")
            if result.status == "fail":
                lines.append(f"     fix: {result.fix}")
        return "\n".join(lines)


def run_checks(
    name: str,
    subject: Subject,
    checks: Mapping[str, Callable[[Subject], None]],
    *,
    foundations: Collection[str],
) -> CheckReport:
    """Run every check of a table.

    Args:
        name: name of the subject in the report.
        subject: what is checked.
        checks: name → check.
        foundations: names of checks that later ones rely on: if one of them fails, all checks
            after it are skipped.
    """
    results: list[CheckResult] = []
    missing = ""
    for check_name, check in checks.items():
        if missing:
            result = _result(check_name, check, "skip", f"{_NOT_RUN} {missing} failed")
        else:
            result = _carry_out(check_name, check, subject)
        if result.status == "fail" and check_name in foundations:
            missing = check_name
        results.append(result)
    return CheckReport(name, tuple(results))


def _carry_out(name: str, check: Callable[[Subject], None], subject: Subject) -> CheckResult:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            check(subject)
        except NotApplicableError as reason:
            return _result(name, check, "skip", str(reason))
        except CheckFailedError as fault:
            return _result(name, check, "fail", str(fault))
        except Exception as error:  # noqa: BLE001  (a foreign subject may raise anything)
            return _result(name, check, "fail", f"{type(error).__name__}: {error}")
    told = dict.fromkeys(str(warning.message) for warning in warned)
    return _result(name, check, "pass", " ".join(f"warning: {text}" for text in told))


def _result(name: str, check: Callable[[Any], None], status: Status, detail: str) -> CheckResult:
    claim, _, rest = (inspect.getdoc(check) or "").partition("\n")
    fix = " ".join(rest.partition("Fix:")[2].split())
    detail = " ".join(_COLOURS.sub("", detail).split())
    if len(detail) > _MOST_CHARACTERS:
        detail = f"{detail[:_MOST_CHARACTERS]} …"
    return CheckResult(name, status, claim, detail, fix)
