"""The store of a sweep: a zarr group that xarray opens as one Dataset, filled chunk by chunk.

Every file is written beside its place and renamed into it, so that a file is there whole or not at all; the verdicts
of a chunk come last, so that a chunk counts as done when they are there.  Every chunk ends in its checksum (crc32c),
which zarr verifies on reading and a resumed run before it trusts a chunk.  Nothing in a store depends on when, by
whom or in which order it was filled.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.errors import ZarrUserWarning
from zarr.storage import MemoryStore

from solvers.output import OutputError, refusal
from solvers.sweep.engine import FAILED, VERDICTS, Answer
from solvers.sweep.job import Job, differences
from solvers.sweep.layout import REASON, VERDICT, Variable, attributes, coordinates, variables
from solvers.sweep.lock import NAME as LOCK

ROOT, PARTIAL = "zarr.json", ".partial"
OWN = {LOCK, PARTIAL, ".now"}
"""Files of a run that was killed before the store existed."""


class StoreError(OutputError):
    """A store belongs to another job, another version, or is none."""


class Store:
    """The store of one job at a path.

    Raises
    ------
    StoreError : what is at the path is something else, or the store of another job; it says what differs.
    """

    def __init__(self, path: Path, job: Job) -> None:
        self.path, self.job = path, job
        self.variables = variables(job)
        self._memory: dict[str, Any] = {}
        self._arrays = self._template()
        self._metadata = {name: buffer.to_bytes() for name, buffer in self._memory.items()}

    def prepare(self) -> None:
        """Write what is missing of everything but results; refuse the store of another job."""
        found = stored_record(self.path)
        if found is None:
            self._put(ROOT, self._metadata[ROOT], safe=True)
        elif different := differences(found, self.job.record()):
            raise StoreError(_other_job(self.path, found, self.job, different))
        for name, content in self._metadata.items():
            if name != ROOT and _content(self.path / name) != content:
                self._put(name, content)
        for name in (PARTIAL, ".now"):
            (self.path / name).unlink(missing_ok=True)

    def verdicts(self, number: int) -> np.ndarray | None:
        """How often each verdict stands in a chunk, (len(VERDICTS),); None if the chunk is not there or is damaged."""
        content = _content(self._file(VERDICT, number))
        if content is None or not _is_whole(content):
            return None
        for variable in self.variables:
            if variable.name != VERDICT:
                other = _content(self._file(variable.name, number))
                if other is None or not _is_whole(other):
                    return None
        codes = np.frombuffer(content[:-4], np.int8)
        return count_verdicts(codes)

    def reasons(self, number: int) -> list[tuple[int, str]]:
        """Points of a chunk that did not converge: number in the design, and why."""
        block = self.job.blocks.block(number)
        name = self._name(REASON, number)
        self._memory[name] = default_buffer_prototype().buffer.from_bytes((self.path / name).read_bytes())
        texts = np.asarray(self._arrays[REASON][block])
        del self._memory[name]
        texts = texts.reshape(-1, *self.job.request.copies)
        found = []
        for k, number_of_point in enumerate(self.job.numbers(number)):
            own = dict.fromkeys(str(text) for text in np.ravel(texts[k]) if text)
            found += [(int(number_of_point), text) for text in own]
        return found

    def write(self, number: int, answer: Answer) -> None:
        """Write a chunk.  Raises OSError as the file system does; the store is whole then, without this chunk."""
        block = self.job.blocks.block(number)
        held = [*(v for v in self.variables if v.name != VERDICT), next(v for v in self.variables if v.name == VERDICT)]
        for variable in held:
            values = variable.of(answer).reshape(tuple(s.stop - s.start for s in block) + variable.shape)
            self._arrays[variable.name][block] = values
            name = self._name(variable.name, number)
            self._put(name, self._memory.pop(name).to_bytes())

    def _template(self) -> Mapping[str, zarr.Array]:
        """The same group in memory: source of all metadata, and encoder of chunks."""
        group = zarr.create_group(MemoryStore(self._memory), attributes=attributes(self.job))
        for item in coordinates(self.job):
            array = _create(group, item, item.values.shape, item.values.shape)
            array[...] = item.values
        shape, chunk = self.job.blocks.shape, self.job.blocks.chunk
        arrays = {v.name: _create(group, v, shape + v.shape, chunk + v.shape) for v in self.variables}
        with warnings.catch_warnings():  # the format calls this an extension; readers that do not know it skip it
            warnings.simplefilter("ignore", ZarrUserWarning)
            zarr.consolidate_metadata(group.store)
        return arrays

    def _name(self, variable: str, number: int) -> str:
        own = next(v for v in self.variables if v.name == variable)
        place = self.job.blocks.place(number) + (0,) * len(own.shape)
        return "/".join((variable, "c", *map(str, place)))

    def _file(self, variable: str, number: int) -> Path:
        return self.path / self._name(variable, number)

    def _put(self, name: str, content: bytes, *, safe: bool = False) -> None:
        """Write a file beside its place, then rename it; safe : wait until the disk has it."""
        part, target = self.path / PARTIAL, self.path / name
        try:
            with part.open("wb") as file:
                file.write(content)
                if safe:
                    file.flush()
                    os.fsync(file.fileno())
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise


def stored_record(path: Path) -> dict[str, Any] | None:
    """The record of the job whose store is at a path; None if there is nothing yet.

    Raises
    ------
    StoreError : there is something else.
    """
    try:
        text = (path / ROOT).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if path.exists() and (not path.is_dir() or {item.name for item in path.iterdir()} - OWN):
            raise StoreError(
                f"{path} exists and is not the store of a sweep; it is left as it is. Give another path."
            ) from None
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise refusal(path / ROOT, error, "Make it readable, or give another path.") from None
    try:
        record = json.loads(json.loads(text)["attributes"]["job"])
        if not isinstance(record, dict) or "format" not in record:
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise StoreError(
            f"{path / ROOT} does not describe a sweep; the folder is left as it is. Give another path."
        ) from None
    return record


def make_folder(path: Path) -> None:
    """Make the folder of a store, if it is not there.  Raises StoreError or OutputError."""
    stored_record(path)
    try:
        path.mkdir(exist_ok=True)
    except (OSError, ValueError) as error:
        raise refusal(path, error, "Give a path in a folder that exists and can be written.") from None


def count_verdicts(codes: np.ndarray) -> np.ndarray:
    """How often each code of `VERDICTS` occurs, in its order."""
    return np.array([np.count_nonzero(codes == code) for code in VERDICTS])


def has_failed(counts: np.ndarray) -> bool:
    """Whether a point of a chunk failed for a reason that a second attempt may not meet."""
    return bool(counts[list(VERDICTS).index(FAILED)])


def _create(group: zarr.Group, item: Variable, shape: tuple[int, ...], chunk: tuple[int, ...]) -> zarr.Array:
    codecs = [ZstdCodec(level=1)] if item.compressed else []
    return group.create_array(
        item.name, shape=shape, chunks=chunk, dtype=item.dtype, fill_value=item.missing,
        compressors=[*codecs, Crc32cCodec()], dimension_names=item.dimensions,
        attributes=dict(item.attributes), config={"write_empty_chunks": True},
    )  # fmt: skip


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _is_whole(content: bytes) -> bool:
    """Whether the last four bytes are the checksum of the others."""
    return len(content) > 4 and int.from_bytes(content[-4:], "little") == google_crc32c.value(content[:-4])


def _other_job(path: Path, found: Mapping[str, Any], job: Job, different: list[str]) -> str:
    if found.get("format") != job.record()["format"] or any(text.startswith("version of") for text in different):
        what, mend = "was written by another version", "Go on with that version, or give another path"
    else:
        what, mend = "is the store of another sweep", "Give another path, or the options of that sweep"
    return f"{path} {what}: {'; '.join(different)}. It is left as it is. {mend}."
