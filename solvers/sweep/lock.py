"""One run at a time on a store, also where several machines share the folder.

The holder keeps a file locked and shows in it who it is.  Where the file system knows locks, the kernel releases them
with the process, however it ended.  Where it does not, or where another machine held the file, its sign of life is the
file's time of change, which the holder renews; times are compared with that of a file touched now, so that clocks of
different machines do not matter.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from solvers.output import OutputError, refusal

try:
    import fcntl
except ImportError:  # no POSIX locks: signs of life alone
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"
RENEW = 20.0
"""Seconds between signs of life."""

DEAD = 180.0
"""Seconds without one, after which the holder on another machine counts as dead (caches of NFS lag by up to 60)."""

_held: set[Path] = set()


class LockedError(OutputError):
    """Another run writes to this store."""


class Lock:
    """``with Lock(folder) as lock: ... lock.check()``: a thread gives signs of life while the work goes on.

    Raises LockedError on entry if another run lives, and from ``check`` if one has taken over.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder.resolve() / NAME
        self._file = -1
        self._lost = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "token": os.urandom(8).hex()})

    def __enter__(self) -> Lock:
        if self.path in _held:
            raise LockedError(f"{self.path.parent}: another sweep of this process is writing to it; wait for its end")
        try:
            self._take()
        except LockedError:
            self._close()
            raise
        except OSError as error:
            self._close()
            raise refusal(self.path.parent, error, "Give a folder that can be written.") from None
        _held.add(self.path)
        self._thread.start()
        return self

    def _take(self) -> None:
        while True:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            free = self._lock()
            holder = _holder(self._read())
            if free is False or not self._is_dead(holder, kernel=free is True):
                raise LockedError(self._refused(holder))
            if self._is_current():
                break
            self._close()  # its holder removed it in this moment
        self._show()

    def _lock(self) -> bool | None:
        """Lock the file; False if a living process has it, None if that cannot be known here."""
        if fcntl is None:
            return None
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:  # a file system without locks
            return None
        return True

    def _is_dead(self, holder: dict[str, object], *, kernel: bool) -> bool:
        """Whether whoever is named in the file has gone (nobody is named in a new file); kernel : it gave the lock."""
        if not holder:
            return True
        if holder.get("host") == socket.gethostname():  # the number of a dead process may belong to another by now
            return kernel or not _lives(holder.get("pid"))
        probe = self.path.with_name(".now")
        probe.touch()
        age = probe.stat().st_mtime - os.fstat(self._file).st_mtime
        probe.unlink()
        return age > DEAD

    def _is_current(self) -> bool:
        try:
            return os.stat(self.path).st_ino == os.fstat(self._file).st_ino
        except FileNotFoundError:
            return False

    def _read(self) -> str:
        os.lseek(self._file, 0, os.SEEK_SET)
        return os.read(self._file, 1000).decode(errors="replace")

    def _show(self) -> None:
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, self._text.encode())

    def _beat(self) -> None:
        while not self._end.wait(RENEW):
            self._renew()

    def _renew(self) -> None:
        """A sign of life, unless the file has become another's."""
        try:
            if not self._is_current() or self._read() != self._text:
                self._lost = True
            else:
                os.utime(self.path)
        except OSError:  # a file server that does not answer now may do so later
            pass

    def check(self) -> None:
        """Raise LockedError if another run has taken over."""
        if self._lost:
            raise LockedError(f"{self.path.parent}: another run has taken over this store; this one stops")

    def _refused(self, holder: dict[str, object]) -> str:
        who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
        return (
            f"{self.path.parent}: {who} is writing to this store; wait until it ends, or stop it. If it is dead for "
            f"certain, and its machine cannot be asked, wait {DEAD:.0f} s or remove {self.path}."
        )

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        _held.discard(self.path)
        with suppress(OSError):
            if not self._lost and self._is_current():
                self.path.unlink()
        self._close()


def _holder(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _lives(pid: object) -> bool:
    """Whether a process of this machine exists; the own one does not count, for it holds no lock yet."""
    if not isinstance(pid, int) or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
