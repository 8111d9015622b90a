"""``python -m glamor_gym``: the command line, see :mod:`glamor_gym.cli`."""

from glamor_gym.cli import main

main()
