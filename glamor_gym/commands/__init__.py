"""Commands: what each command of ``glamor-gym`` does.

In: the options of :mod:`glamor_gym.commands.options`. Out: what a person reads on the terminal,
files, and an exit code: 0 for success, 1 for a finding, 2 for bad input.
"""
