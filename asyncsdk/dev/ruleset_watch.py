"""The source of the dev server's ruleset: a value, or a file that is reloaded when it changes."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import attrs
import orjson

from asyncsdk.dev.received_event import Json
from asyncsdk.dev.rulebook import Rulebook
from asyncsdk.dev.ruleset_formats import BrokenRulesetError
from asyncsdk.dev.ruleset_versions import Version, next_version
from asyncsdk.errors import ConfigurationError

_LOG = logging.getLogger("asyncsdk.dev")

RulesetSource: TypeAlias = str | os.PathLike[str] | bytes | Mapping[str, Json]
"""The path of a ruleset's file, or a ruleset as JSON or as decoded JSON."""


@attrs.define(eq=False)
class RulesetWatch:
    """Serves a ruleset, and reloads it when its file changes.

    Attributes:
        fault: Why the file as it is now cannot be served; `""` if it can.
    """

    _book: Rulebook
    fault: str = attrs.field(default="", init=False)
    _stamp: object = attrs.field(default=None, init=False)

    def set_source(self, source: RulesetSource) -> None:
        """Serve another ruleset or file.

        Raises:
            ConfigurationError: It is not a ruleset, or there is no such file; the previous one is still served.
        """
        # The stamp is taken before the file is read, so that a change in between is detected.
        path = Path(source) if isinstance(source, str | os.PathLike) else None
        stamp = path and _stamp_of(path)
        try:
            version = self._read(path) if path else next_version(_raw(source), self._book.rules.version)
        except (OSError, TypeError, BrokenRulesetError) as error:
            reason = f"{path}: {error.strerror}" if isinstance(error, OSError) else error
            msg = f"the ruleset cannot be served: {reason}"
            raise ConfigurationError(msg) from error
        self._book.path, self.fault, self._stamp = path, "", stamp
        self._book.load(version, keep_edits=False)

    def reload_if_changed(self) -> bool:
        """Load the file if it has changed since the last look; return whether it was loaded.

        A file that cannot be served is reported by one warning per change, and the last good version is still served.
        """
        path = self._book.path
        if path is None or self._stamp == (stamp := _stamp_of(path)):
            return False
        self._stamp = stamp
        try:
            self._book.load(self._read(path), keep_edits=True)
        except (OSError, BrokenRulesetError) as error:
            self.fault = str(error)
            _LOG.warning("%s cannot be served, so the last good version still is: %s", path, error)
            return False
        self.fault = ""
        return True

    def _read(self, path: Path) -> Version:
        # Not earlier than the file, so that clients of a previous dev server take it for a new version, too.
        return next_version(path.read_bytes(), self._book.rules.version, path.stat().st_mtime_ns // 1_000_000)


def _stamp_of(path: Path) -> object:
    """Return a value that differs whenever the file does; None if there is no file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    # The size and the inode detect a change that is faster than the clock of the file system.
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _raw(source: RulesetSource) -> bytes:
    return source if isinstance(source, bytes) else orjson.dumps(source)
