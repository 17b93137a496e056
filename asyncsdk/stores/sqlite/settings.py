"""The user's settings of a spool: `SqliteSpool`. They import no SQLite; opening the spool does."""

import os
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import attrs

from asyncsdk._model.spooling import SpoolFiles
from asyncsdk._model.values import Value
from asyncsdk.errors import ConfigurationError
from asyncsdk.stores._folders import absolute_folder
from asyncsdk.stores.sqlite.names import is_spool_name
from asyncsdk.stores.sqlite.quota import Quota

WhenFull = Literal["drop_newest", "drop_oldest", "reject"]

_MIN_BYTES = 1_000_000
# Dead letters may take one twentieth of `max_bytes`.
_DEAD_LETTER_SHARE = 20
# The folder is listed on the event loop, which takes 0.3 us for each name.
_MAX_LISTED = 2_000


def _check_bytes(_: object, attribute: "attrs.Attribute[Any]", size: object) -> None:
    minimum = _MIN_BYTES if attribute.name == "max_bytes" else 0
    if isinstance(size, bool) or not isinstance(size, int) or size < minimum:
        msg = f"`{attribute.name}` of SqliteSpool must be a whole number of bytes, at least {minimum:,}"
        raise ConfigurationError(msg)


def _check_age(_: object, attribute: "attrs.Attribute[Any]", seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 1e9:
        msg = f"`{attribute.name}` of SqliteSpool must be a number of seconds above 0"
        raise ConfigurationError(msg)


def _check_policy(_: object, attribute: "attrs.Attribute[Any]", policy: object) -> None:
    if policy not in ("drop_newest", "drop_oldest", "reject"):
        msg = f"`{attribute.name}` of SqliteSpool must be 'drop_newest', 'drop_oldest' or 'reject'"
        raise ConfigurationError(msg)


@attrs.frozen(eq=False, repr=False)
class SqliteSpool(Value):
    """Stores accepted events in a folder until every vendor has them; `Client(..., spool="folder")` creates one.

    Any number of processes on one machine may share the folder. Each writes to a file of its own, and takes over the
    files of processes that have ended. Network file systems are not supported: their locks and syncs are unreliable.

    Attributes:
        folder: Created when it is first needed, accessible to its owner only. A relative path is resolved at once. The
            folder may contain other files: the spool recognises its own, and never changes another.
        max_bytes: Maximum size of all databases in the folder together, in bytes, at least 1 MB. The WAL of each
            process, about 8 MB, and events for destinations that the client does not have are not counted.
        when_full: What happens to an event for which neither the spool nor the queue in memory has room: `drop_newest`
            drops and counts it, `drop_oldest` drops and counts the oldest ones of the destination that uses the most,
            `reject` raises `QueueFullError` from the verb. With `drop_newest` and `reject`, half of `max_bytes` is for
            all destinations, and an equal part of the other half is kept for each.
        max_age: Maximum time for which an event is retried, in seconds; after that it becomes a dead letter, even if
            its destination has been removed. The default of three days is well within the seven for which Amplitude
            recognises duplicates by their ids.
        keep_free: Bytes of the disk to leave to other programs: if less is free, the spool counts as full.

    Raises:
        ConfigurationError: A setting is invalid.
    """

    folder: Path = attrs.field(converter=absolute_folder)
    max_bytes: int = attrs.field(default=1_000_000_000, kw_only=True, validator=_check_bytes)
    when_full: WhenFull = attrs.field(default="drop_newest", kw_only=True, validator=_check_policy)
    max_age: float = attrs.field(default=72 * 3600.0, kw_only=True, validator=_check_age)
    keep_free: int = attrs.field(default=64_000_000, kw_only=True, validator=_check_bytes)

    @property
    def rejects(self) -> bool:
        """Whether a verb raises `QueueFullError` when the spool is full."""
        return self.when_full == "reject"

    def may_have_events(self) -> bool:
        """Return whether the folder may contain databases of a spool; True if it has too many files to look at."""
        with suppress(OSError), os.scandir(self.folder) as found:
            names = [entry.name for entry in islice(found, _MAX_LISTED)]
            return len(names) == _MAX_LISTED or any(map(is_spool_name, names))
        return False

    def open(self) -> SpoolFiles:
        """Return the files of the spool, for use by one thread; nothing is opened before the first call."""
        from asyncsdk.stores.sqlite.files import SqliteFiles  # noqa: PLC0415 -- SQLite, which few clients need

        drops_oldest = self.when_full == "drop_oldest"
        return SqliteFiles(
            Quota(
                self.folder,
                self.max_bytes,
                self.keep_free,
                drops_oldest,
                self.max_bytes // _DEAD_LETTER_SHARE,
                self.max_age,
            )
        )
