"""Saving: an agent in, a file or a checkpoint out, and back.

* ``agent_file``, ``agent_parts``, ``packing``: agents as ``.safetensors`` files, to act with;
* ``agent_snapshot``, ``snapshot_file``, ``process``: all that training depends on, to continue it;
* ``checkpoint_folder``: such snapshots and the replay's frames, safe from crashes.
"""
