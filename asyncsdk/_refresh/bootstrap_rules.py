"""Installs the rules that the settings give to start with: a body, or a file that is watched for changes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asyncsdk._failures import LOG_INTERVAL, FailureStreak
from asyncsdk._refresh.polling import outlook

if TYPE_CHECKING:
    from asyncsdk.stores.file import WatchedFile


@attrs.define(eq=False, repr=False)
class BootstrapRules:
    """The bootstrap of the settings. Failures are logged and counted; they do not raise.

    Attributes:
        streak: Failures of reading or installing it.
    """

    _bootstrap: bytes | Path | None
    _install: Callable[[bytes], Awaitable[bool]]
    _has_rules: Callable[[], bool]
    streak: FailureStreak
    _watch_interval: float
    _file: "WatchedFile | None" = attrs.field(init=False)

    @_file.default
    def _find_file(self) -> "WatchedFile | None":
        if not isinstance(self._bootstrap, Path):
            return None
        from asyncsdk.stores.file import WatchedFile  # noqa: PLC0415 -- most rules come without a file

        return WatchedFile(self._bootstrap)

    async def load(self, *, blocking: bool = False) -> None:
        """Install the bootstrap: a file if it changed since it was last read, a body only while there are no rules.

        Args:
            blocking: Read the file in this thread, so that no other is started.
        """
        if self._file is not None:
            await self._load_file(self._file, blocking=blocking)
        elif isinstance(self._bootstrap, bytes) and not self._has_rules():
            await self._apply(self._bootstrap)

    async def watch(self) -> None:
        """Install the file each time it changes, until cancelled; return at once without a file."""
        while self._file is not None:
            await asyncio.sleep(self._watch_interval)
            await self._load_file(self._file)

    async def _load_file(self, file: "WatchedFile", *, blocking: bool = False) -> None:
        try:
            body = file.read_if_changed_blocking() if blocking else await file.read_if_changed()
        except OSError as error:
            self._record_failure(f"cannot read the file: {type(error).__name__}")
            return
        if body is not None:
            await self._apply(body)

    async def _apply(self, body: bytes) -> None:
        try:
            is_in_use = await self._install(body)
        except ValueError as error:
            self._record_failure(str(error))
            return
        # Older than the rules in use is fine. Without any in use, the body said that it has none.
        if not is_in_use and not self._has_rules():
            self._record_failure('it says `"has_updates": false`, so it has no rules')
            return
        self.streak.record_success()

    def _record_failure(self, reason: str) -> None:
        # Without a retry to wait for: a body stays as it is, and so may a file.
        self.streak.record_failure(reason, outlook(has_any=self._has_rules()), retry_in=LOG_INTERVAL)
