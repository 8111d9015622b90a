"""The implementations of the ``glamor-gym`` commands, one module each.

In: the options of :mod:`glamor_gym.commands.options`, and the command line as typed, which some
commands record. Out: terminal output, files, and an exit code: 0 for success, 1 if a check or a run
failed, 2 for bad input.
"""
