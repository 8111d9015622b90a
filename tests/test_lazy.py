"""Names that are imported when they are first used."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import glamor_gym
import glamor_gym.evaluation
import glamor_gym.report

PACKAGES = [glamor_gym, glamor_gym.evaluation, glamor_gym.report]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_public_name_is_there_and_listed(package):
    starred = {}
    exec(f"from {package.__name__} import *", starred)
    assert starred.keys() - {"__builtins__"} == set(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    assert "__name__" in dir(package)
    for name in set(package.__all__) - {"__version__"}:
        value = getattr(package, name)
        assert getattr(importlib.import_module(value.__module__), name) is value


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_other_names_are_missing(package):
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nam'"):
        _ = package.nam
    with pytest.raises(ImportError, match="cannot import name 'nam'"):
        exec(f"from {package.__name__} import nam")


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_importing_a_package_imports_nothing_heavy(package):
    script = (
        f"import sys, {package.__name__}\n"
        "assert not {'torch', 'stable_baselines3', 'matplotlib', 'pandas', 'mujoco', "
        "'dm_control', 'ale_py', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
