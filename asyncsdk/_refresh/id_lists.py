"""Keeps ID lists fresh: a manifest, and of each list's file the bytes that are new.

With a cache they outlive the process: each list is saved when it is new, and every ten minutes if it grows. What is
saved says how much of the file it is, so that a later process reads on from there.
"""

import asyncio
from collections.abc import Callable, Iterable

from asyncsdk._refresh.guarded_cache import GuardedCache
from asyncsdk._refresh.polling import CooperativeRunner, FailureStreak, Fetcher, Polling
from asyncsdk.vendors._base import ListFile
from asyncsdk.vendors.statsig import Statsig
from asyncsdk.vendors.statsig.id_lists import BadListError, IdList, apply_file, plan_downloads, restore, snapshot
from asyncsdk.vendors.statsig.ruleset import RulesAnswer, read_response

_MAX_DOWNLOADS = 3
_SAVE_INTERVAL_MS = 600_000


class IdLists:
    """The ID lists that are held.

    Attributes:
        entries: Of each list; seen by lookups as they change.
        first: Set when every list of a manifest was tried once, and when lists are off.
        polling: When the manifest is asked for next.
    """

    def __init__(
        self, source: Statsig, clock: Callable[[], int], runner: CooperativeRunner, cache: GuardedCache, interval: float
    ) -> None:
        """Begin without lists; those of a source without `id_lists` are off."""
        self.entries: dict[str, set[str]] = {}
        self.first_sync = asyncio.Event()
        self.polling = Polling(FailureStreak("ID lists"), interval)
        self._source = source
        self._clock = clock
        self._runner = runner
        self._cache = cache
        self._is_on = source.rules is not None and source.rules.id_lists
        self._held: dict[str, IdList] = {}
        self._saved_ms: dict[str, int] = {}
        if not self._is_on or source.offline:
            self.first_sync.set()

    async def run(self, fetcher: Fetcher) -> None:
        """Keep the lists fresh until cancelled; returns at once when they are off."""
        if not self._is_on:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self.load_cached())
            while True:
                answer = await self._sync(fetcher)
                await asyncio.sleep(self.polling.after(answer))

    async def load_cached(self) -> None:
        """Begin with what the cache has of lists that the vendor has not given yet."""
        manifest = await self._cache.load(self._source.list_cache_key()) if self._is_on else None
        try:
            files = plan_downloads(manifest, {}).read if manifest else ()
        except BadListError:
            return
        for file in files:
            body = await self._cache.load(self._source.list_cache_key(file.name))
            found = await self._runner.run(restore(body)) if body else None
            if found is not None and file.name not in self._held:
                self._set_list(file.name, found)
        if files and all(file.name in self._held for file in files):
            self.first_sync.set()

    async def _save(self, manifest: bytes, names: Iterable[str]) -> None:
        """Save lists that are new or were saved long ago, and then the manifest, which names them."""
        now = self._clock()
        due = [name for name in names if now - self._saved_ms.get(name, 0) >= _SAVE_INTERVAL_MS]
        if not due or not self._cache.is_configured:
            return
        for name in due:
            body = await self._runner.run(snapshot(self._held[name]))
            if not await self._cache.save(self._source.list_cache_key(name), body):
                return  # the others would fare no better, and take as long
            self._saved_ms[name] = now
        await self._cache.save(self._source.list_cache_key(), manifest)

    def _set_list(self, name: str, found: IdList) -> None:
        self._held[name], self.entries[name] = found, found.entries

    async def _sync(self, fetcher: Fetcher) -> RulesAnswer:
        answer = read_response(await fetcher.fetch(self._source.build_manifest_request(self._clock())))
        if answer.reason:
            return answer
        if answer.body is not None:
            try:
                todo = plan_downloads(answer.body, self._held)
            except BadListError as error:
                return RulesAnswer(reason=str(error))
            for name in todo.drop:
                del self._held[name], self.entries[name]
            manifest, answer = answer.body, await self._read_all(fetcher, todo.read)
            self.first_sync.set()
            await self._save(manifest, [file.name for file in todo.read if file.name in self._held])
        self.first_sync.set()
        return answer

    async def _read_all(self, fetcher: Fetcher, files: tuple[ListFile, ...]) -> RulesAnswer:
        """Read files, a few at once; one that fails costs itself only."""
        turns = asyncio.Semaphore(_MAX_DOWNLOADS)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._read(fetcher, file, turns)) for file in files]
        failures = [answer for answer in (task.result() for task in tasks) if answer.reason]
        if not failures:
            return RulesAnswer()
        return RulesAnswer(
            reason=f"{len(failures)} of {len(files)} files: {failures[0].reason}",
            retry_soon=any(answer.retry_soon for answer in failures),
            retry_after=max((answer.retry_after or 0.0 for answer in failures), default=0.0) or None,
        )

    async def _read(self, fetcher: Fetcher, file: ListFile, turns: asyncio.Semaphore) -> RulesAnswer:
        async with turns:
            response = await fetcher.fetch(self._source.build_list_request(file, self._clock()))
            answer = read_response(response)
            if answer.reason:
                return answer
            try:
                found = await self._runner.run(apply_file(file, response, self._held.get(file.name)))
            except BadListError as error:
                return RulesAnswer(reason=str(error), retry_soon=False)
            if not file.start:
                self._saved_ms.pop(file.name, None)  # another file: what was saved is of no use
            self._set_list(file.name, found)
            return RulesAnswer()
