"""Keeps ID lists fresh: a manifest, and of each list's file the bytes that are new."""

import asyncio
from collections.abc import Callable

from asyncsdk._refresh.polling import Episode, Fetcher, Pace, Polling
from asyncsdk.vendors._base import ListFile, RulesSource
from asyncsdk.vendors.statsig.id_lists import BadListError, IdList, plan, take
from asyncsdk.vendors.statsig.ruleset import Answer, read

_AT_ONCE = 3


class Lists:
    """The ID lists that are held.

    Attributes:
        entries: Of each list; seen by lookups as they change.
        first: Set when every list of a manifest was tried once, and when lists are off.
        polling: When the manifest is asked for next.
    """

    def __init__(
        self, source: RulesSource, clock: Callable[[], int], pace: Pace, interval: float, *, is_on: bool
    ) -> None:
        """Begin without lists."""
        self.entries: dict[str, set[str]] = {}
        self.first = asyncio.Event()
        self.polling = Polling(Episode("ID lists"), interval)
        self._source = source
        self._clock = clock
        self._pace = pace
        self._is_on = is_on
        self._held: dict[str, IdList] = {}
        if not is_on:
            self.first.set()

    async def run(self, fetcher: Fetcher) -> None:
        """Keep the lists fresh until cancelled; returns at once when they are off."""
        while self._is_on:
            answer = await self._sync(fetcher)
            await asyncio.sleep(self.polling.after(answer))

    async def _sync(self, fetcher: Fetcher) -> Answer:
        answer = read(await fetcher.fetch(self._source.ask_lists(self._clock())))
        if answer.reason:
            return answer
        if answer.body is not None:
            try:
                todo = plan(answer.body, self._held)
            except BadListError as error:
                return Answer(reason=str(error))
            for name in todo.drop:
                del self._held[name], self.entries[name]
            answer = await self._read_all(fetcher, todo.read)
        self.first.set()
        return answer

    async def _read_all(self, fetcher: Fetcher, files: tuple[ListFile, ...]) -> Answer:
        """Read files, a few at once; one that fails costs itself only."""
        turns = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._read(fetcher, file, turns)) for file in files]
        failures = [answer for answer in (task.result() for task in tasks) if answer.reason]
        if not failures:
            return Answer()
        return Answer(
            reason=f"{len(failures)} of {len(files)} files: {failures[0].reason}",
            soon=any(answer.soon for answer in failures),
            retry_after=max((answer.retry_after or 0.0 for answer in failures), default=0.0) or None,
        )

    async def _read(self, fetcher: Fetcher, file: ListFile, turns: asyncio.Semaphore) -> Answer:
        async with turns:
            response = await fetcher.fetch(self._source.ask_list(file, self._clock()))
            answer = read(response)
            if answer.reason:
                return answer
            try:
                found = await self._pace.finish(take(file, response, self._held.get(file.name)))
            except BadListError as error:
                return Answer(reason=str(error), soon=False)
            self._held[file.name] = found
            self.entries[file.name] = found.entries
            return Answer()
