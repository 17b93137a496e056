"""Where the dev server has its ruleset from: a file that it watches, or what it is given."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import attrs
import orjson

from asyncsdk.dev.messages import Json
from asyncsdk.dev.ruleset_formats import BrokenRulesetError
from asyncsdk.dev.ruleset_versions import Version, next_version
from asyncsdk.dev.statsig_rules import ServedRulesets
from asyncsdk.errors import ConfigurationError

_LOG = logging.getLogger("asyncsdk.dev")

RulesetSource: TypeAlias = str | os.PathLike[str] | bytes | Mapping[str, Json]
"""A path, or a ruleset: JSON or decoded."""


@attrs.define(eq=False)
class RulesetWatch:
    """Puts a ruleset on the shelf, and again whenever its file changes.

    Attributes:
        fault: What is wrong with the file as it is now, in words; "" if nothing.
    """

    _shelf: ServedRulesets
    fault: str = attrs.field(default="", init=False)
    _path: Path | None = attrs.field(default=None, init=False)
    _seen: object = attrs.field(default=None, init=False)

    def give(self, source: RulesetSource) -> None:
        """Take another ruleset or file.

        Raises:
            ConfigurationError: It is no ruleset, or there is no such file; the one before stays.
        """
        path = Path(source) if isinstance(source, str | os.PathLike) else None
        seen = path and _stamp(path)
        try:
            version = self._read(path) if path else next_version(_raw(source), self._shelf.version)
        except (OSError, TypeError, BrokenRulesetError) as error:
            msg = f"the ruleset cannot be served: {error}"
            raise ConfigurationError(msg) from error
        self._shelf.version, self.fault, self._path, self._seen = version, "", path, seen

    def look(self) -> None:
        """Read the file again if it has changed. One that is broken is not served, and a warning says so once."""
        if self._path is None or self._seen == (seen := _stamp(self._path)):
            return
        self._seen = seen
        try:
            self._shelf.version, self.fault = self._read(self._path), ""
        except (OSError, BrokenRulesetError) as error:
            self.fault = str(error)
            _LOG.warning("%s cannot be served, so the last good version still is: %s", self._path, error)

    def _read(self, path: Path) -> Version:
        # Not older than the file, so that it is news to the clients of an earlier dev server, too.
        return next_version(path.read_bytes(), self._shelf.version, path.stat().st_mtime_ns // 1_000_000)


def _stamp(path: Path) -> object:
    """Give what changes when a file does; None if there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _raw(source: RulesetSource) -> bytes:
    return source if isinstance(source, bytes) else orjson.dumps(source)
