"""A folder of checkpoints that stores each frame once and survives a crash at any moment.

In: snapshots of an agent, with the ring that holds its replay. Out: files, and the newest intact
checkpoint read from them::

    checkpoint-000007.json         the files of checkpoint 7, with sizes and SHA-256; written last
    state-000007.safetensors       the agent without its frames
    segment-000007-000.zst         the frames added since checkpoint 6, see segments
    segment-000006-000.zst …       earlier frames, written with the checkpoint of that number

A checkpoint exists once its ``.json`` does. The previous one is kept, so that there is an intact
one while the next is being written, and if the last is damaged on disk. Segments whose frames have
all left the ring are removed.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glamor_gym.agents.saving.segments import compress, decompress, size_of
from glamor_gym.agents.saving.snapshot_file import decode, encode
from glamor_gym.files import write_atomically
from glamor_gym.replay.frame_ring import FrameRing
from glamor_gym.snapshots import Snapshot
from glamor_gym.untrusted import DamagedFileError, read_json

FORMAT = "glamor_gym checkpoint 1"

SEGMENT_BYTES = 2**26
"""Approximate upper limit of a segment's size before compression."""

_MANIFEST_BYTES = 2**24
_FILE_NAME = re.compile(r"(checkpoint|state|segment)-\d{6}(-\d{3,6})?\.(json|safetensors|zst)")


class CheckpointError(ValueError):
    """All checkpoints are damaged, or they are of another kind of agent."""


@dataclass(frozen=True)
class StoredFile:
    """A file of a checkpoint.

    Attributes:
        name: within the folder.
        size: in bytes.
        sha256: of its content, hexadecimal.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Segment:
    """The frames in a range of the ring's slots.

    Attributes:
        file: the file that holds them.
        first: slot of the first frame.
        end: slot after the last frame.
        last_run: number of the last run with frames among them.
    """

    file: StoredFile
    first: int
    end: int
    last_run: int


@dataclass(frozen=True)
class Checkpoint:
    """The content of a manifest.

    Attributes:
        number: number of the checkpoint in its folder, from 0.
        step: environment steps that the agent had taken.
        state: the agent without its frames.
        segments: the frames, in the order in which they were written to the ring.
        runs_written: number of runs that had been written to the ring.
    """

    number: int
    step: int
    state: StoredFile
    segments: tuple[Segment, ...]
    runs_written: int

    @property
    def digest(self) -> str:
        """SHA-256 of all attributes, and thereby of all files."""
        return hashlib.sha256(json.dumps(self, default=vars, sort_keys=True).encode()).hexdigest()


class CheckpointFolder:
    """Reads and writes the checkpoints of one agent.

    Args:
        path: the folder; the first write creates it if it does not exist.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def holds_checkpoints(self) -> bool:
        """Return whether there are any checkpoints, intact or not."""
        return bool(self._numbers())

    # ------------------------------------------------------------------------------- writing

    def write(
        self, step: int, snapshot: Mapping[str, Any], ring: FrameRing, after: str | None
    ) -> Checkpoint:
        """Write a checkpoint, with the frames of the ring that are in no file yet.

        Args:
            step: environment steps that the agent has taken.
            snapshot: the agent without its frames.
            ring: the frames.
            after: `digest` of the checkpoint last written of the agent or loaded into it; None if
                there is none.

        Raises:
            ValueError: the folder holds checkpoints, but not the one with digest `after`.
            OSError: the checkpoint cannot be written; earlier ones are kept.
        """
        before = self._predecessor(after)
        number = 1 + max(self._numbers(), default=-1)
        try:
            checkpoint = self._write(number, step, snapshot, ring, before)
        except BaseException:
            for path in self.path.glob(f"*-{number:06}[-.]*"):
                if _FILE_NAME.fullmatch(path.name):
                    path.unlink()
            raise
        self._remove_all_but(checkpoint, before)
        return checkpoint

    def _write(
        self,
        number: int,
        step: int,
        snapshot: Mapping[str, Any],
        ring: FrameRing,
        before: Checkpoint | None,
    ) -> Checkpoint:
        state = self._put(f"state-{number:06}.safetensors", encode(snapshot))
        segments = () if before is None else before.segments
        kept = [segment for segment in segments if segment.last_run >= ring.oldest_run]
        new = self._put_segments(number, ring, 0 if before is None else before.runs_written)
        checkpoint = Checkpoint(number, step, state, (*kept, *new), ring.runs_written)
        content = {"format": FORMAT, "sha256": checkpoint.digest, **asdict(checkpoint)}
        self._put(_manifest_name(number), json.dumps(content, indent=1).encode())
        return checkpoint

    def _predecessor(self, digest: str | None) -> Checkpoint | None:
        """Return the checkpoint with this digest; None if the folder holds no checkpoints.

        Raises:
            ValueError: it holds others only.
        """
        if not (numbers := self._numbers()):
            return None
        for number in numbers:
            try:
                checkpoint = self._manifest(number)
            except DamagedFileError:
                continue
            if checkpoint.digest == digest:
                return checkpoint
        raise ValueError(
            f"{self.path} holds checkpoints of another run, or of another state of this one; "
            "continue from them with load_checkpoint, or use another folder"
        )

    def _put_segments(self, number: int, ring: FrameRing, first_run: int) -> list[Segment]:
        """Write the frames of the runs from `first_run` on; return the segments written."""
        arrays = ring.slot_arrays()
        slots_a_file = max(1, SEGMENT_BYTES // size_of(arrays, range(1)))
        segments: list[Segment] = []
        for last_run, stretch in ring.slots_since(first_run):
            for first in stretch[::slots_a_file]:
                slots = range(first, min(first + slots_a_file, stretch.stop))
                name = f"segment-{number:06}-{len(segments):03}.zst"
                file = self._put(name, compress(arrays, slots))
                segments.append(Segment(file, slots.start, slots.stop, last_run))
        return segments

    def _put(self, name: str, content: bytes) -> StoredFile:
        with write_atomically(self.path / name) as file:
            file.write(content)
        return StoredFile(name, len(content), hashlib.sha256(content).hexdigest())

    def _remove_all_but(self, *checkpoints: Checkpoint | None) -> None:
        """Remove files that none of these checkpoints needs, and the remains of unfinished ones."""
        needed = set[str]()
        for checkpoint in checkpoints:
            if checkpoint is not None:
                needed.add(_manifest_name(checkpoint.number))
                needed.update(file.name for file in _files(checkpoint))
        for path in self.path.iterdir():
            # While it is being written, a file is called .NAME.RANDOM.
            name = path.name[1:].rpartition(".")[0] if path.name[0] == "." else path.name
            if _FILE_NAME.fullmatch(name) and path.name not in needed:
                path.unlink()

    # ------------------------------------------------------------------------------- reading

    def newest(self) -> Checkpoint:
        """Return the newest checkpoint whose files are all intact; warn if it is not the last one.

        Raises:
            FileNotFoundError: there is no checkpoint.
            CheckpointError: all checkpoints are damaged.
            OSError: a file cannot be read.
        """
        faults = []
        for number in self._numbers():
            try:
                checkpoint = self._manifest(number)
                for file in _files(checkpoint):
                    self._read(file)
            except (DamagedFileError, FileNotFoundError) as error:
                faults.append(f"{_manifest_name(number)}: {error}")
                continue
            if faults:
                warnings.warn(
                    f"{self.path} has a damaged checkpoint ({'; '.join(faults)}); "
                    f"continuing from an earlier one, of step {checkpoint.step}",
                    stacklevel=3,
                )
            return checkpoint
        if faults:
            raise CheckpointError(f"{self.path} has no intact checkpoint ({'; '.join(faults)})")
        inside = self.path / "checkpoint"
        hint = f"; {inside} does" if CheckpointFolder(inside).holds_checkpoints() else ""
        raise FileNotFoundError(f"{self.path} holds no checkpoint{hint}")

    def read_state(self, checkpoint: Checkpoint) -> Snapshot:
        """Return the agent without its frames.

        Raises:
            DamagedFileError: the file is damaged.
        """
        return decode(self._read(checkpoint.state))

    def read_frames(self, checkpoint: Checkpoint, ring: FrameRing) -> None:
        """Write the frames into a ring whose snapshot has already been restored.

        Raises:
            DamagedFileError: a file is damaged.
            ValueError: the frames do not fit the ring.
        """
        arrays = ring.slot_arrays()
        for segment in checkpoint.segments:
            if not 0 <= segment.first < segment.end <= ring.capacity:
                raise ValueError(f"{segment.file.name} does not fit {ring.capacity} slots")
            decompress(self._read(segment.file), arrays, range(segment.first, segment.end))

    def _numbers(self) -> list[int]:
        """Return the numbers of the checkpoints, newest first."""
        names = [path.stem for path in self.path.glob("checkpoint-*.json")]
        return sorted((int(n) for n in (s[11:] for s in names) if n.isdecimal()), reverse=True)

    def _manifest(self, number: int) -> Checkpoint:
        """Read the manifest of a checkpoint.

        Raises:
            DamagedFileError: it is damaged.
        """
        path = self.path / _manifest_name(number)
        content = read_json(path, max_bytes=_MANIFEST_BYTES)
        try:
            segments = tuple(
                Segment(**{**entry, "file": StoredFile(**entry["file"])})
                for entry in content["segments"]
            )
            state, runs = StoredFile(**content["state"]), content["runs_written"]
            checkpoint = Checkpoint(content["number"], content["step"], state, segments, runs)
            sound = content["sha256"] == checkpoint.digest and content["format"] == FORMAT
        except (KeyError, TypeError, AttributeError) as error:
            raise DamagedFileError(f"{path.name} is not a manifest: {error!r}") from error
        if not sound or checkpoint.number != number:
            raise DamagedFileError(f"{path.name} is damaged, or was written by another version")
        return checkpoint

    def _read(self, file: StoredFile) -> bytes:
        """Return the content of a file after checking that it is what was written.

        Raises:
            FileNotFoundError: there is no such file.
            DamagedFileError: its name, size or content is not as recorded.
        """
        if not _FILE_NAME.fullmatch(file.name):
            raise DamagedFileError(f"{file.name!r} is not a valid name of a checkpoint's file")
        path = self.path / file.name
        size = path.stat().st_size
        if size != file.size:
            raise DamagedFileError(f"{file.name} has {size} bytes instead of {file.size}")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise DamagedFileError(f"{file.name} has another SHA-256 than when it was written")
        return content


def _manifest_name(number: int) -> str:
    return f"checkpoint-{number:06}.json"


def _files(checkpoint: Checkpoint) -> Sequence[StoredFile]:
    return [checkpoint.state, *(segment.file for segment in checkpoint.segments)]
