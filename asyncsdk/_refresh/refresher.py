"""Keeps the rules fresh: asks, compiles in slices, replaces the whole, and keeps the old ones on any failure."""

import asyncio
import random
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import attrs

from asyncsdk._model.reports import RulesetChange, RulesHealth
from asyncsdk._refresh.guarded_cache import MAX_CALL_SECONDS, GuardedCache
from asyncsdk._refresh.id_lists import IdLists
from asyncsdk._refresh.polling import CooperativeRunner, FailureStreak, Fetcher, Polling, call_guarded, notify
from asyncsdk._refresh.ruleset_diff import SECTIONS, compare
from asyncsdk._rules.bootstrap import rebuild_views
from asyncsdk._rules.language.country import Countries
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.loading import load, release, supersedes
from asyncsdk._rules.ruleset import Ruleset, empty_ruleset
from asyncsdk.stores.file import WatchedFile
from asyncsdk.vendors.statsig import Rules, Statsig
from asyncsdk.vendors.statsig.ruleset import RulesAnswer, read_response

NETWORK, BOOTSTRAP, CACHE = "Network", "Bootstrap", "Adapter(DataStore)"
UNINITIALIZED, NO_VALUES = "Uninitialized", "NoValues"

Watcher = Callable[[RulesetChange], object]
Observer = Callable[[RulesHealth], object]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Refresher:
    """The rules in use, and the tasks that replace them.

    Making one touches no event loop. A lookup reads `rules`, once; it is replaced whole or not at all.

    Attributes:
        name: The name of the source.
        rules: The rules in use; without any, ones that know no name.
        polling: When rules are asked for next; its `interval` may be changed.
        lists: The ID lists; their `polling` is their own.
        runner: How the work was cut.
        watch_interval: Seconds between two looks at the bootstrap file.
    """

    def __init__(
        self,
        source: Statsig,
        *,
        clock: Callable[[], int] = _now_ms,
        chance: Callable[[], float] = random.random,
        poll: float | None = None,
        watch_interval: float = 1.0,
    ) -> None:
        """Begin without rules.

        Args:
            source: Where rules come from; without `rules`, or offline, it is asked for nothing.
            clock: Gives milliseconds since 1970.
            chance: Gives a number in [0, 1), for bandits that explore.
            poll: Seconds between two requests, for rules and for ID lists; None takes those of `source.rules`.
            watch_interval: Seconds between two looks at the bootstrap file.
        """
        settings = source.rules or Rules()
        self.name = source.name
        self._source = source
        self._settings = settings
        self._is_offline = source.offline or source.rules is None
        self._clock = clock
        self.runner = CooperativeRunner()
        self.polling = Polling(FailureStreak("rules"), poll or settings.poll_interval)
        self._cache = GuardedCache(settings.cache)
        self.id_lists = IdLists(source, clock, self.runner, self._cache, poll or settings.id_lists_interval)
        self.watch_interval = watch_interval
        self._bootstrap = FailureStreak("bootstrap")
        self._countries = Countries()
        self._shared_context = SharedContext(
            clock=clock,
            random=chance,
            environment=None if source.environment is None else {"tier": source.environment},
            global_custom=settings.global_custom,
            id_lists=self.id_lists.entries,
            country=self._countries.find,
        )
        self.rules: Ruleset = empty_ruleset(self._shared_context, UNINITIALIZED)
        self._file = WatchedFile(settings.bootstrap) if isinstance(settings.bootstrap, Path) else None
        self._watchers: list[Watcher] = []
        self._observers: list[Observer] = []
        self._install_lock = asyncio.Lock()
        self._first_attempt_done = asyncio.Event()
        self._last_sync_ms: int | None = None
        self._is_key_refused = False

    @property
    def is_ready(self) -> bool:
        """Whether there are rules, and the ID lists if they are wanted."""
        return bool(self.rules.sections) and self.id_lists.first_sync.is_set()

    async def wait_ready(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the first rules, and for the ID lists if they are wanted.

        It waits no longer than there is hope: not for a source that has none, or that refuses the key.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._first_attempt_done.wait()
                await self.id_lists.first_sync.wait()
        return self.is_ready

    def subscribe(self, watcher: Watcher) -> None:
        """Call `watcher` on the loop with what changed, when other rules are in use; its faults are logged."""
        self._watchers.append(watcher)

    def observe(self, observer: Observer) -> None:
        """Call `observer` on the loop with how the rules are doing, after each request; its faults are logged."""
        self._observers.append(observer)

    def use_overrides(self, overrides: Overrides) -> None:
        """Let local overrides answer from now on, whatever rules come."""
        self._shared_context = attrs.evolve(self._shared_context, overrides=overrides)
        self.rules = self.rules.with_context(attrs.evolve(self.rules.shared_context, overrides=overrides))

    def health(self) -> RulesHealth:
        """Tell how the rules are doing."""
        rules, now = self.rules, self._clock()
        streaks = (self.polling.streak, self.id_lists.polling.streak, self._bootstrap)
        return RulesHealth(
            source=rules.source,
            time_ms=rules.time_ms,
            age=(now - rules.received_at_ms) / 1000 if rules.sections else None,
            last_sync=None if self._last_sync_ms is None else (now - self._last_sync_ms) / 1000,
            last_error=next((found.last_error for found in streaks if found.last_error), ""),
            failures=self.polling.streak.failures,
            refused=self._is_key_refused,
            names=sum(len(rules.sections.get(section, ())) for section in SECTIONS),
            id_lists={name: len(entries) for name, entries in list(self.id_lists.entries.items())},
            cache_failures=self._cache.streak.total,
        )

    # --- the tasks --------------------------------------------------------------------------------------------

    async def run(self, fetcher: Fetcher) -> None:
        """Get the first rules, then keep them fresh, until cancelled. May be started again after a crash."""
        await self._load_bootstrap()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_file())
            if self._is_offline:
                await self.id_lists.load_cached()
                await self._load_cached()
                self._record_no_values()
                self._first_attempt_done.set()
            else:
                cached = group.create_task(self._load_cached())
                group.create_task(self.id_lists.run(fetcher))
                await self._poll(fetcher, cached)
            await asyncio.Event().wait()

    async def _poll(self, fetcher: Fetcher, cached: asyncio.Task[None]) -> None:
        while True:
            answer = await self._fetch_rules(fetcher)
            failures = self.polling.streak.failures + 1
            if answer.reason and self._settings.bypasses(failures, is_first=not self.rules.sections):
                bypass = await self._fetch_rules(fetcher, bypass_proxy=True)
                answer = answer if bypass.reason else bypass
            self._record_no_values()
            if cached.done() and not (answer.reason and answer.retry_soon):
                self._first_attempt_done.set()
            pause = self.polling.after(answer, has_any=bool(self.rules.sections))
            self._is_key_refused = answer.refused
            if self._observers:
                notify(self._observers, self.health())
            await asyncio.sleep(pause)

    async def _fetch_rules(self, fetcher: Fetcher, *, bypass_proxy: bool = False) -> RulesAnswer:
        """Ask once, and take what comes; a body that is no ruleset is a failure like any other."""
        rules = self.rules
        request = self._source.build_rules_request(
            rules.time_ms, rules.checksum, self._clock(), bypass_proxy=bypass_proxy
        )
        answer = read_response(await fetcher.fetch(request))
        if answer.body is not None:
            try:
                is_new = await self._install(answer.body, NETWORK)
            except ValueError as error:
                return RulesAnswer(reason=str(error))
            if is_new:
                await self._cache.save(self._source.cache_key, answer.body)
        if not answer.reason:
            self._last_sync_ms = self._clock()
        return answer

    async def _load_bootstrap(self) -> None:
        bootstrap = self._settings.bootstrap
        if self._file is not None:
            await self._load_bootstrap_file(self._file)
        elif isinstance(bootstrap, bytes) and not self.rules.sections:
            await self._apply_bootstrap(bootstrap)

    async def _apply_bootstrap(self, body: bytes) -> None:
        try:
            is_new = await self._install(body, BOOTSTRAP)
        except ValueError as error:
            self._bootstrap.record_failure(str(error), has_any=bool(self.rules.sections))
            return
        if not is_new and not self.rules.sections:
            self._bootstrap.record_failure('it has no rules: `"has_updates": true` is missing', has_any=False)
            return
        self._bootstrap.record_success()

    async def _load_bootstrap_file(self, file: WatchedFile) -> None:
        try:
            body = await file.read_if_changed()
        except OSError as error:
            self._bootstrap.record_failure(
                f"file cannot be read: {type(error).__name__}", has_any=bool(self.rules.sections)
            )
            return
        if body is not None:
            await self._apply_bootstrap(body)

    async def _watch_file(self) -> None:
        while self._file is not None:
            await asyncio.sleep(self.watch_interval)
            await self._load_bootstrap_file(self._file)

    async def _load_cached(self) -> None:
        body = None if self.rules.sections else await self._cache.load(self._source.cache_key)
        if body:
            _, fault = await call_guarded(partial(self._install, body, CACHE), MAX_CALL_SECONDS)
            if fault:
                self._cache.streak.record_failure(fault)

    def _record_no_values(self) -> None:
        if self.rules.source == UNINITIALIZED:
            self.rules = empty_ruleset(self._shared_context, NO_VALUES)

    # --- replacing --------------------------------------------------------------------------------------------

    async def _install(self, body: bytes, source: str) -> bool:
        """Compile a body in slices and put it in use if it is newer; says whether it is in use now.

        Raises:
            ValueError: It is no ruleset.
        """
        async with self._install_lock:
            old, now = self.rules, self._clock()
            steps = load(body, self._shared_context, source=source, received_at_ms=now, previous=old)
            new = await self.runner.run(steps)
            if new is None or new is old or not _should_replace(new, old):
                return False
            if new.needs_countries:
                await self.runner.run(_as_generator(self._countries.load()))
            await self.runner.run(_as_generator(new.precompile(old)))
            await self.runner.run(_as_generator(rebuild_views(old, new)))
            change = await self.runner.run(compare(old, new)) if self._watchers else None
            self._activate(new)
            if change is not None:
                notify(self._watchers, change)
            free_old = _as_generator(release(old))
            del old
            await self.runner.run(free_old)
            return True

    def _activate(self, new: Ruleset) -> None:
        overrides = self._shared_context.overrides
        if new.shared_context.overrides is not overrides:
            new = new.with_context(attrs.evolve(new.shared_context, overrides=overrides))
        self.rules = new
        self._first_attempt_done.set()


def _should_replace(new: Ruleset, old: Ruleset) -> bool:
    """Say whether new rules are to be used. A cache never replaces anything; a bootstrap file is replaced by itself."""
    if new.source == CACHE:
        return not old.sections
    return new.source == old.source == BOOTSTRAP or supersedes(new, old)


def _as_generator(steps: Iterator[None]) -> Generator[None, None, None]:
    yield from steps
