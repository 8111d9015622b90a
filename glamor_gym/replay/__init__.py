"""Replay: whole trajectories in, hindsight-relabelled training tuples out."""

from glamor_gym.replay.hindsight_frame_buffer import HindsightFrameBuffer
from glamor_gym.replay.trajectory_replay import TrajectoryReplay

__all__ = ["HindsightFrameBuffer", "TrajectoryReplay"]
