from __future__ import annotations

import subprocess
from importlib import metadata

import pytest

import glamor_gym
from glamor_gym.evaluation.provenance import source_commit, versions


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A package in a checkout of its own."""
    package = tmp_path / "glamor_gym" / "__init__.py"
    package.parent.mkdir()
    package.write_text("")
    monkeypatch.setattr(glamor_gym, "__file__", str(package))
    return tmp_path


def git(folder, *words):
    names = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", *names, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_commit_is_told_and_whether_there_are_changes(checkout):
    git(checkout, "init", "-q")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "first")
    commit = git(checkout, "rev-parse", "--short", "HEAD")
    assert source_commit() == commit
    (checkout / "glamor_gym" / "__init__.py").write_text("changed")
    assert source_commit() == f"{commit}-dirty"


def test_an_installed_package_within_a_checkout_has_no_commit(checkout, monkeypatch):
    git(checkout, "init", "-q")
    inner = checkout / "site" / "glamor_gym" / "__init__.py"
    monkeypatch.setattr(glamor_gym, "__file__", str(inner))
    assert source_commit() == ""


def test_without_git_there_is_no_commit(checkout, monkeypatch):
    git(checkout, "init", "-q")
    monkeypatch.setenv("PATH", "")
    assert source_commit() == ""


def test_versions_are_those_installed():
    assert versions()["torch"] == metadata.version("torch")
    assert versions()["python"].count(".") == 2


def test_versions_lack_what_is_not_installed(monkeypatch):
    monkeypatch.setattr("glamor_gym.evaluation.provenance.LIBRARIES", ("numpy", "no-such-library"))
    assert versions().keys() == {"python", "numpy"}
