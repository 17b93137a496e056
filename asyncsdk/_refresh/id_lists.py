r"""Keeps ID lists up to date.

The vendor publishes a manifest, which names the lists, and a file for each list, which only grows. Each poll downloads
the manifest, and from each file the bytes after those that were read already (an HTTP range).

State, changed only by the methods of `IdLists` on the event loop:

* `_lists`: name -> the list, with the generation of its file and the number of bytes read from it;
* `entries`: name -> the entries of that list, which lookups read while they change;
* `_partial`: name -> a list whose file is read from its start, and is not complete yet: lookups do not see it;
* `_saved_ms`: name -> when the list was last saved in the cache.

Invariants: `_lists` and `entries` have the same keys, and `entries[name]` is the set of `_lists[name]`; they change
together. A list that fails to download keeps what it has; the next poll goes on from the first byte that it lacks.

A file may be larger than all other memory of the client, so it is never held: each piece is applied as it arrives.

With a cache, lists survive a restart. A list is saved when it is new, and then at most every ten minutes while it
grows. A saved list records how much of its file it has, so that the next process downloads only the rest.

Example: the file of `vips` has 3 bytes, "+a\n", and was read. It grows by "+b\n-a\n". The next poll requests it from
byte 3 on, and `entries["vips"]` changes from {"a"} to {"b"} in place.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial

from asyncsdk._failures import FailureStreak
from asyncsdk._model.compact_ids import CompactIds
from asyncsdk._refresh.guarded_cache import GuardedCache
from asyncsdk._refresh.poll_loop import PollLoop
from asyncsdk._refresh.polling import CooperativeRunner, Fetcher, Polling
from asyncsdk._refresh.shared_list_files import stream_shared
from asyncsdk._refresh.shared_rules import SharedPoller
from asyncsdk.vendors._base import ListFile, Request, Response
from asyncsdk.vendors.statsig import Rules, Statsig
from asyncsdk.vendors.statsig.id_list_files import BadListError, IdList, apply_lines, new_list, restore, snapshot
from asyncsdk.vendors.statsig.id_lists import plan_downloads, takes_range_in_query
from asyncsdk.vendors.statsig.ruleset import RulesAnswer, read_response

_MAX_DOWNLOADS = 3
"""Maximum number of files downloaded at the same time."""
_PARTIAL = 206
_SAVE_INTERVAL_MS = 600_000
"""Minimum time between two saves of a list, in milliseconds."""


class IdLists:
    """The ID lists in use, and the task that updates them.

    Attributes:
        entries: Entries of each list by name. Lookups see changes at once.
        first_sync: Set once each list of a manifest was tried, or loaded from the cache; and if lists are disabled.
        polling: Decides when the manifest is requested next.
        accepts_http: Whether files may be at http addresses although the manifest's is https: all requests go to a dev
            server.
        shared: Polls for the fleet; None polls from this process.
    """

    def __init__(
        self,
        source: Statsig,
        clock: Callable[[], int],
        runner: CooperativeRunner,
        cache: GuardedCache,
        interval: float,
        *,
        shared: SharedPoller | None = None,
    ) -> None:
        """Start without lists.

        Args:
            source: Where lists come from; without `id_lists` in its `rules` they are disabled.
            clock: Returns milliseconds since 1970.
            runner: Runs the parsing of lists.
            cache: Where lists are saved.
            interval: Seconds between two requests of the manifest.
            shared: Polls for the fleet; None polls from this process.
        """
        self.entries: dict[str, set[bytes] | CompactIds] = {}
        self.first_sync = asyncio.Event()
        self.polling = Polling(FailureStreak(f"{source.name} ID lists"), interval)
        self._source = source
        self._clock = clock
        self._runner = runner
        self._cache = cache
        self._is_enabled = source.rules is not None and source.rules.id_lists
        self._poll_loop = PollLoop()
        self.shared = shared
        if shared is not None and self._is_enabled:
            shared.share(source.list_cache_key(), lambda: self.polling.interval, self._poll_loop.wake)
        self._max_bytes = (source.rules or Rules()).max_id_list_bytes
        self.accepts_http = False
        self._lists: dict[str, IdList] = {}
        self._partial: dict[str, IdList] = {}
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
        request = self._source.build_manifest_request(self._clock())
        answer = read_response(await self._fetch_manifest(fetcher, request), request)
        if answer.reason:
            return answer
        if answer.body is not None:
            try:
                downloads = plan_downloads(answer.body, self._lists | self._partial)
            except BadListError as error:
                return RulesAnswer(reason=str(error), malformed=True)
            # No await between the dicts: other tasks and lookups see all change at once.
            for name in downloads.drop:
                for held in (self._lists, self.entries, self._partial):
                    held.pop(name, None)
            is_secure = request.url.startswith("https:") and not self.accepts_http
            manifest, answer = answer.body, await self._download_all(fetcher, downloads.read, is_secure=is_secure)
            if self.shared is not None:  # after its files
                await self.shared.publish(self._source.list_cache_key(), manifest)
            self.first_sync.set()  # before saving: the start of a client does not wait for the cache
            await self._save(manifest, [file.name for file in downloads.read if file.name in self._lists])
        self.first_sync.set()
        return answer

    async def _fetch_manifest(self, fetcher: Fetcher, request: Request) -> Response:
        if self.shared is None:
            return await fetcher.fetch(request)
        key = self._source.list_cache_key()
        return await self.shared.fetch(key, lambda **_: fetcher.fetch(request), has_any=bool(self._lists))

    async def _download_all(self, fetcher: Fetcher, files: tuple[ListFile, ...], *, is_secure: bool) -> RulesAnswer:
        """Download files, a few at a time. A failure of one does not affect the others."""
        slots = asyncio.Semaphore(_MAX_DOWNLOADS)

        async def download(file: ListFile) -> RulesAnswer:
            problem = self._problem(file, is_secure=is_secure)
            if problem:  # a retry would not help
                return RulesAnswer(reason=f"{file.name!r}: {problem}", retry_soon=False)
            async with slots:
                return await self._download(fetcher, file)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(download(file)) for file in files]
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

    def _problem(self, file: ListFile, *, is_secure: bool) -> str:
        """Return why a file is not downloaded; "" if it is."""
        if is_secure and not file.url.lower().startswith("https:"):
            return "its file is at an http address, but the manifest at an https one"
        if max(file.size, file.start) >= self._max_bytes:
            return f"its file of {file.size:,} bytes reaches `max_id_list_bytes`, {self._max_bytes:,}"
        return ""

    async def _download(self, fetcher: Fetcher, file: ListFile) -> RulesAnswer:
        problem = ""

        async def receive(head: Response, pieces: AsyncIterator[bytes]) -> None:
            nonlocal problem
            try:
                await self._receive(file, head, pieces)
            except BadListError as error:
                problem = str(error)

        request = self._source.build_list_request(file, self._clock())
        limit = self._max_bytes - file.start
        if self.shared is None:
            response = await fetcher.stream(request, receive, limit)
        else:
            key = self._source.list_cache_key(file.name)
            response = await stream_shared(
                self.shared, key, file, lambda receive: fetcher.stream(request, receive, limit), receive
            )
        answer = read_response(response, request)
        # The file itself is bad: a retry would download the same bytes.
        return RulesAnswer(reason=problem, retry_soon=False, malformed=True) if problem else answer

    async def _receive(self, file: ListFile, head: Response, pieces: AsyncIterator[bytes]) -> None:
        """Apply a file while it arrives. Bytes that continue it change the list in place.

        Raises:
            BadListError: The bytes are not a list.
        """
        known = self._partial.get(file.name) or self._lists.get(file.name)
        if known is None or not file.start or _is_whole(file, head):
            known = self._partial[file.name] = new_list(file)
        rest, had = b"", known.size
        async for piece in pieces:
            rest = await self._runner.run(apply_lines(known, rest + piece))
            if self._lists.get(file.name) is known:
                self.entries[file.name] = known.entries  # another object, if the list has grown large
        if head.status != _PARTIAL and known.size - had >= file.size:
            known.size -= had  # it was the whole file again, which leads to the same entries
        if self._partial.pop(file.name, None) is known:
            self._saved_ms.pop(file.name, None)  # a new generation of the file: the saved list is obsolete
            self._set_list(file.name, known)


def _is_whole(file: ListFile, head: Response) -> bool:
    """Return whether the server ignored the range.

    A range in a header is acknowledged by status 206. A 200 says nothing about one in the query, so the size decides.
    """
    if head.status == _PARTIAL:
        return False
    length = head.headers.get("content-length", "")
    return not takes_range_in_query(file) or (length.isdecimal() and int(length) >= file.size)
