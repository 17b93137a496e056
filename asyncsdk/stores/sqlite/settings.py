"""What a spool may use, and what follows when that is used up."""

from pathlib import Path
from typing import Any, Literal

import attrs

from asyncsdk._model.spooling import SpoolFiles
from asyncsdk.errors import ConfigurationError
from asyncsdk.stores.sqlite.quota import Quota

WhenFull = Literal["drop_newest", "drop_oldest", "reject"]

_LEAST_BYTES = 1_000_000
# Dead letters may take one twentieth of `max_bytes`.
_DEAD_LETTER_SHARE = 20


def _check_bytes(_: object, attribute: "attrs.Attribute[Any]", size: object) -> None:
    least = _LEAST_BYTES if attribute.name == "max_bytes" else 0
    if isinstance(size, bool) or not isinstance(size, int) or size < least:
        msg = f"`{attribute.name}` of SqliteSpool must be a whole number of bytes, at least {least:,}"
        raise ConfigurationError(msg)


def _check_age(_: object, attribute: "attrs.Attribute[Any]", seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 1e9:
        msg = f"`{attribute.name}` of SqliteSpool must be a number of seconds above 0"
        raise ConfigurationError(msg)


def _check_policy(_: object, attribute: "attrs.Attribute[Any]", policy: object) -> None:
    if policy not in ("drop_newest", "drop_oldest", "reject"):
        msg = f"`{attribute.name}` of SqliteSpool must be 'drop_newest', 'drop_oldest' or 'reject'"
        raise ConfigurationError(msg)


@attrs.frozen
class SqliteSpool:
    """Keeps accepted events in a folder until every vendor has them; `Client(..., spool="folder")` makes one.

    Any number of processes of one machine may share the folder: each has a file of its own, and takes over those of
    processes that are gone. Not for network file systems, whose locks and syncs cannot be relied on.

    Attributes:
        folder: Made when it is first needed, for its owner only.
        max_bytes: Most that all databases of the folder may take; each process's WAL, some 8 MB, comes on top.
        when_full: What happens then: the incoming event is dropped and counted (`drop_newest`), the oldest ones are
            (`drop_oldest`), or the verb raises `QueueFullError` (`reject`).
        max_age: Longest that an event is tried, in seconds; after that it is a dead letter. Three days, well within
            the seven for which Amplitude knows copies by their ids.
        keep_free: Bytes of the disk that are left to others: with less free than that, the spool counts as full.

    Raises:
        ConfigurationError: A setting cannot work.
    """

    folder: Path = attrs.field(converter=Path)
    max_bytes: int = attrs.field(default=1_000_000_000, kw_only=True, validator=_check_bytes)
    when_full: WhenFull = attrs.field(default="drop_newest", kw_only=True, validator=_check_policy)
    max_age: float = attrs.field(default=72 * 3600.0, kw_only=True, validator=_check_age)
    keep_free: int = attrs.field(default=64_000_000, kw_only=True, validator=_check_bytes)

    @property
    def rejects(self) -> bool:
        """Whether a verb raises when the spool is full."""
        return self.when_full == "reject"

    def may_have_events(self) -> bool:
        """Say whether there are any files."""
        try:
            return any(path.suffix == ".db" for path in self.folder.iterdir())
        except OSError:
            return False

    def open(self) -> SpoolFiles:
        """Return the files of the spool, for use by one thread; nothing is opened before the first call."""
        from asyncsdk.stores.sqlite.files import SqliteFiles  # noqa: PLC0415 -- SQLite, which few clients need

        drops_oldest = self.when_full == "drop_oldest"
        return SqliteFiles(
            Quota(self.folder, self.max_bytes, self.keep_free, drops_oldest, self.max_bytes // _DEAD_LETTER_SHARE)
        )
