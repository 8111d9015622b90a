"""``glamor-gym export``: a trained agent as one small file to share.

In: :class:`~glamor_gym.commands.options.Export`. Out: a ``.safetensors`` file with the weights, and
a summary on the terminal.
"""

from __future__ import annotations

from glamor_gym.agents.base import ImageGoalAgent
from glamor_gym.agents.saving.agent_file import file_named, is_zip_archive, with_suffix
from glamor_gym.commands.errors import checking_input
from glamor_gym.commands.options import Export, OfSavedAgent
from glamor_gym.commands.saved_agent import find_agent
from glamor_gym.files import real_path
from glamor_gym.names import without_module
from glamor_gym.tasks import file_name


def export(options: Export, _command: str) -> int:
    """Load an agent and save it without its optimiser.

    Raises:
        InputError: there is no such agent, it belongs to another library, --full and --packed are
            both given, or the file cannot be written.
    """
    with checking_input():
        if options.full and options.packed:
            raise ValueError("--full and --packed are mutually exclusive, got both")
        if is_zip_archive(file_named(options.agent)):  # it names no task, and export takes none
            raise ValueError(
                f"{options.agent} is a zip archive, as Stable-Baselines3 saves its agents, which "
                "cannot be exported"
            )
        saved = find_agent(options.agent, OfSavedAgent(), acts=False)
        if not saved.algorithm.resumes:
            raise ValueError(
                f"{saved.algorithm.title} is an agent of another library, which cannot be exported"
            )
        agent = saved.load("cpu", trust=False)
        assert isinstance(agent, ImageGoalAgent)
        of_a_run = saved.home in saved.file.parents
        beside = saved.home if of_a_run else saved.file.parent
        path = beside if options.out is None else options.out
        if path.is_dir():
            task = file_name(saved.task or saved.file.stem)
            path /= f"{task}-{without_module(saved.algorithm.name)}"
        path = with_suffix(path)
        if real_path(path) in map(real_path, (saved.file, with_suffix(saved.file))):
            raise ValueError(f"--out must differ from the agent's own file, got {path}")
        agent.save(path, exclude=["optimizer"], half=not options.full, packed=options.packed)
    size = path.stat().st_size
    task = saved.task or "an environment without an id"
    print(f"{task}, {saved.algorithm.title}: {path}, {size / 1e6:.1f} MB")
    for name, value in saved.env_kwargs.items():
        print(f"it was trained with --env {name}={value}")
    return 0
