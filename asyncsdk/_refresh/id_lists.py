r"""Keeps ID lists up to date.

The vendor publishes a manifest, which names the lists, and a file for each list, which only grows. Each poll downloads
the manifest, and from each file the bytes after those that were read already (an HTTP range).

State, changed only by the methods of `IdLists` on the event loop:

* `_lists`: name -> the list, with the generation of its file and the number of bytes read from it;
* `entries`: name -> the entries of that list, which lookups read while they change;
* `_saved_ms`: name -> when the list was last saved in the cache.

Invariants: `_lists` and `entries` have the same keys, and `entries[name]` is the set of `_lists[name]`; they change
together. A list that fails to download stays as it is; the next poll tries again from the same byte.

With a cache, lists survive a restart. A list is saved when it is new, and then at most every ten minutes while it
grows. A saved list records how much of its file it has, so that the next process downloads only the rest.

Example: the file of `vips` has 3 bytes, "+a\n", and was read. It grows by "+b\n-a\n". The next poll requests it from
byte 3 on, and `entries["vips"]` changes from {"a"} to {"b"} in place.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from asyncsdk._failures import FailureStreak
from asyncsdk._refresh.guarded_cache import GuardedCache
from asyncsdk._refresh.poll_loop import PollLoop
from asyncsdk._refresh.polling import CooperativeRunner, Fetcher, Polling
from asyncsdk.vendors._base import ListFile
from asyncsdk.vendors.statsig import Statsig
from asyncsdk.vendors.statsig.id_lists import BadListError, IdList, apply_file, plan_downloads, restore, snapshot
from asyncsdk.vendors.statsig.ruleset import RulesAnswer, read_response

_MAX_DOWNLOADS = 3
"""Maximum number of files downloaded at the same time."""
_SAVE_INTERVAL_MS = 600_000
"""Minimum time between two saves of a list, in milliseconds."""


class IdLists:
    """The ID lists in use, and the task that updates them.

    Attributes:
        entries: Entries of each list by name. Lookups see changes at once.
        first_sync: Set once each list of a manifest was tried, or loaded from the cache; and if lists are disabled.
        polling: Decides when the manifest is requested next.
    """

    def __init__(
        self, source: Statsig, clock: Callable[[], int], runner: CooperativeRunner, cache: GuardedCache, interval: float
    ) -> None:
        """Start without lists.

        Args:
            source: Where lists come from; without `id_lists` in its `rules` they are disabled.
            clock: Returns milliseconds since 1970.
            runner: Runs the parsing of lists.
            cache: Where lists are saved.
            interval: Seconds between two requests of the manifest.
        """
        self.entries: dict[str, set[str]] = {}
        self.first_sync = asyncio.Event()
        self.polling = Polling(FailureStreak(f"{source.name} ID lists"), interval)
        self._source = source
        self._clock = clock
        self._runner = runner
        self._cache = cache
        self._is_enabled = source.rules is not None and source.rules.id_lists
        self._poll_loop = PollLoop()
        self._lists: dict[str, IdList] = {}
        self._saved_ms: dict[str, int] = {}
        if not self._is_enabled or source.offline:
            self.first_sync.set()

    def __repr__(self) -> str:
        entries = sum(map(len, self.entries.values()))
        return (
            f"<IdLists {len(self._lists)} lists, {entries} entries, {self.polling.streak.failures} failures in a row>"
        )

    async def run(self, fetcher: Fetcher) -> None:
        """Keep the lists up to date until cancelled; return at once if they are disabled."""
        if not self._is_enabled:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self.load_cached())
            await self._poll_loop.run(partial(self._poll, fetcher))

    async def poll_now(self) -> bool:
        """Request the manifest and what is new in the lists now; return whether that succeeded, or is not needed."""
        return not self._is_enabled or await self._poll_loop.poll_now()

    async def _poll(self, fetcher: Fetcher) -> tuple[bool, float]:
        answer = await self._sync(fetcher)
        return not answer.reason, self.polling.delay_after(answer)

    async def load_cached(self) -> None:
        """Load lists from the cache, except for those that were downloaded already."""
        manifest = await self._cache.load(self._source.list_cache_key()) if self._is_enabled else None
        try:
            # Without any lists, the plan for a manifest is to read all of them.
            files = plan_downloads(manifest, {}).read if manifest else ()
        except BadListError:
            return
        for file in files:
            body = await self._cache.load(self._source.list_cache_key(file.name))
            id_list = await self._runner.run(restore(body)) if body else None
            # The network may have delivered the list while the cache was loading it: that one is newer.
            if id_list is not None and file.name not in self._lists:
                self._set_list(file.name, id_list)
        if files and all(file.name in self._lists for file in files):
            self.first_sync.set()

    async def _save(self, manifest: bytes, names: Iterable[str]) -> None:
        """Save the lists that are due, and then the manifest, without which `load_cached` would not find them."""
        now = self._clock()
        due = [name for name in names if now - self._saved_ms.get(name, 0) >= _SAVE_INTERVAL_MS]
        if not due or not self._cache.is_configured:
            return
        for name in due:
            body = await self._runner.run(snapshot(self._lists[name]))
            if not await self._cache.save(self._source.list_cache_key(name), body):
                return  # likely to fail for the others as well, after up to `MAX_CALL_SECONDS` each
            self._saved_ms[name] = now
        await self._cache.save(self._source.list_cache_key(), manifest)

    def _set_list(self, name: str, id_list: IdList) -> None:
        self._lists[name], self.entries[name] = id_list, id_list.entries

    async def _sync(self, fetcher: Fetcher) -> RulesAnswer:
        answer = read_response(await fetcher.fetch(self._source.build_manifest_request(self._clock())))
        if answer.reason:
            return answer
        if answer.body is not None:
            try:
                downloads = plan_downloads(answer.body, self._lists)
            except BadListError as error:
                return RulesAnswer(reason=str(error), malformed=True)
            # No await between the two dicts: other tasks and lookups see both change at once.
            for name in downloads.drop:
                del self._lists[name], self.entries[name]
            manifest, answer = answer.body, await self._download_all(fetcher, downloads.read)
            self.first_sync.set()  # before saving: the start of a client does not wait for the cache
            await self._save(manifest, [file.name for file in downloads.read if file.name in self._lists])
        self.first_sync.set()
        return answer

    async def _download_all(self, fetcher: Fetcher, files: tuple[ListFile, ...]) -> RulesAnswer:
        """Download files, a few at a time. A failure of one does not affect the others."""
        slots = asyncio.Semaphore(_MAX_DOWNLOADS)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._download(fetcher, file, slots)) for file in files]
        failures = [answer for answer in (task.result() for task in tasks) if answer.reason]
        if not failures:
            return RulesAnswer()
        # One failure for all: retry soon if that helps any of them, but respect the longest `Retry-After`.
        return RulesAnswer(
            reason=f"{len(failures)} of {len(files)} files: {failures[0].reason}",
            retry_soon=any(answer.retry_soon for answer in failures),
            malformed=any(answer.malformed for answer in failures),
            retry_after=max((answer.retry_after or 0.0 for answer in failures), default=0.0) or None,
        )

    async def _download(self, fetcher: Fetcher, file: ListFile, slots: asyncio.Semaphore) -> RulesAnswer:
        async with slots:
            response = await fetcher.fetch(self._source.build_list_request(file, self._clock()))
            answer = read_response(response)
            if answer.reason:
                return answer
            try:
                id_list = await self._runner.run(apply_file(file, response, self._lists.get(file.name)))
            except BadListError as error:
                # The file itself is bad: a retry would download the same bytes.
                return RulesAnswer(reason=str(error), retry_soon=False, malformed=True)
            if not file.start:
                self._saved_ms.pop(file.name, None)  # a new generation of the file: the saved list is obsolete
            self._set_list(file.name, id_list)
            return RulesAnswer()
