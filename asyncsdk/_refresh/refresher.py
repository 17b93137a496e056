"""Keeps the rules up to date: polls, compiles in steps, and replaces the whole ruleset at once.

Rules come from three sources: the bootstrap of the settings, the cache, and the network. `Refresher.rules` is the
ruleset in use; its `source` is the state:

    rules in use    bootstrap arrives   cache arrives   network arrives
    none            install             install         install
    bootstrap       install             ignore          install; one WARNING if it is older
    cache           install if newer    ignore          install if newer
    network         install if newer    ignore          install if newer

"Newer" is `supersedes`: not older, and with another checksum. "None" is `UNINITIALIZED` until the sources were tried,
then `NO_VALUES`; both are a ruleset without names. Rules are never removed: after a failure the current ones stay, and
a body that lacks a part of a ruleset (`_rules/completeness.py`) is a failure.

A bootstrap is where rules start, and its time may be anything. So if the network has nothing newer than a bootstrap, it
is asked for all rules, and these replace the bootstrap.

Invariants:

1. `rules` is replaced whole, on the event loop, by `_activate`, `use_overrides` and `_record_no_values` only. A lookup
   reads the attribute once, on any thread, and sees one version.
2. One body is installed at a time (`_install_lock`). Compiling yields to the loop, and `rules` changes only when all of
   it is done, so that no lookup waits for a compilation that a refresh could have done.
3. `_first_attempt_done` is set once: when rules are in use, or when no source may still deliver some soon. It and
   `IdLists.first_sync` end `wait_ready`.

Tasks of `run`: watch the bootstrap file; load the cache; update the ID lists; poll the network.

Example: at the start the network is down, there is no bootstrap, and the cache has rules of yesterday. They are used
(`Adapter(DataStore)`), `wait_ready` returns True, and polls go on with backoff. Once the network is back, newer rules
replace them (`Network`), watchers are notified of the change, and the body is saved in the cache.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import attrs

from asyncsdk._failures import LOG_INTERVAL, FailureStreak
from asyncsdk._model.reports import RulesetChange, RulesHealth
from asyncsdk._refresh.bootstrap_rules import BootstrapRules
from asyncsdk._refresh.guarded_cache import MAX_CALL_SECONDS, GuardedCache
from asyncsdk._refresh.id_lists import IdLists
from asyncsdk._refresh.override_check import OverrideCheck
from asyncsdk._refresh.pattern_faults import PatternFaults
from asyncsdk._refresh.poll_loop import PollLoop
from asyncsdk._refresh.polling import (
    CooperativeRunner,
    Fetcher,
    Polling,
    call_guarded,
    logger,
    notify,
)
from asyncsdk._refresh.ruleset_diff import SECTIONS, compare
from asyncsdk._refresh.shared_rules import create_shared_poller
from asyncsdk._refresh.sources import BOOTSTRAP, CACHE, NETWORK, NO_VALUES, UNINITIALIZED, as_generator, should_replace
from asyncsdk._refresh.unknown_names import UnknownNames
from asyncsdk._rules.bootstrap import rebuild_views
from asyncsdk._rules.language.country import Countries
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.loading import load, release
from asyncsdk._rules.patterns import load_patterns
from asyncsdk._rules.ruleset import Ruleset, empty_ruleset
from asyncsdk.vendors._base import Response
from asyncsdk.vendors.statsig import Rules, Statsig
from asyncsdk.vendors.statsig.ruleset import RulesAnswer, poll_interval, read_response

Watcher = Callable[[RulesetChange], object]
Observer = Callable[[RulesHealth], object]


class Refresher:
    """The rules in use, and the tasks that replace them.

    Constructing one does no I/O and needs no running loop.

    Attributes:
        name: Name of the source.
        rules: The rules in use; a ruleset without names if there are none.
        polling: Decides when rules are requested next; its `interval` may be changed.
        id_lists: The ID lists, with a `polling` of their own.
        runner: Runs the compilation in steps, and measures them.
        follows_interval: Whether the answer decides how often to poll, as that of a dev server does.
    """

    def __init__(
        self,
        source: Statsig,
        *,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        random_number: Callable[[], float] = random.random,
        poll_interval: float | None = None,
        watch_interval: float = 1.0,
    ) -> None:
        """Start without rules.

        Args:
            source: Where rules come from. Without `rules` in it, or offline, nothing is requested.
            clock: Returns milliseconds since 1970.
            random_number: Returns a number in [0, 1), for bandits that explore.
            poll_interval: Seconds between two requests, for rules and for ID lists; None uses those of `source.rules`.
            watch_interval: Seconds between two checks of the bootstrap file.
        """
        settings = source.rules or Rules()
        self.name = source.name
        self._source = source
        self._settings = settings
        self._is_offline = source.offline or source.rules is None
        self._clock = clock
        self.runner = CooperativeRunner()
        self.follows_interval = False
        self.polling = Polling(FailureStreak(f"{source.name} rules"), poll_interval or settings.poll_interval)
        self._cache = GuardedCache(settings.cache, FailureStreak(f"{source.name} rules cache"))
        self._poll_loop = PollLoop()
        self._shared = create_shared_poller(source)
        if self._shared is not None:
            self._shared.share(source.cache_key, lambda: self.polling.interval, self._poll_loop.wake)
        self.id_lists = IdLists(
            source, clock, self.runner, self._cache, poll_interval or settings.id_lists_interval, shared=self._shared
        )
        self._countries = Countries()
        self._unknown_names = UnknownNames(source.name)
        self._pattern_faults = PatternFaults(source.name)
        self._shared_context = SharedContext(
            clock=clock,
            random=random_number,
            environment=None if source.environment is None else {"tier": source.environment},
            global_custom=settings.global_custom,
            id_lists=self.id_lists.entries,
            country=self._countries.find,
            on_unknown=self._unknown_names.record,
            report_pattern=self._pattern_faults.report,
            report_too_large=self._pattern_faults.report_too_large,
        )
        self.rules: Ruleset = empty_ruleset(self._shared_context, UNINITIALIZED)
        self._bootstrap = BootstrapRules(
            settings.bootstrap,
            lambda body: self._install(body, BOOTSTRAP),
            lambda: bool(self.rules.sections),
            FailureStreak(f"{source.name} bootstrap"),
            watch_interval,
        )
        self._override_check = OverrideCheck()
        self._watchers: list[Watcher] = []
        self._observers: list[Observer] = []
        self._install_lock = asyncio.Lock()
        self._first_attempt_done = asyncio.Event()
        self._last_sync_ms: int | None = None
        self._is_key_refused = False

    def __repr__(self) -> str:
        failures = self.polling.streak.failures
        return f"<Refresher {self.name}, {self.rules!r}, {self.id_lists!r}, {failures} failures in a row>"

    @property
    def is_ready(self) -> bool:
        """Whether there are rules, and the ID lists if they are enabled."""
        return bool(self.rules.sections) and self.id_lists.first_sync.is_set()

    async def wait_ready(self, timeout: float) -> bool:
        """Wait for the first rules, and for the ID lists if they are enabled.

        Args:
            timeout: Maximum time to wait, in seconds. Returns earlier if no source can deliver rules: there is none, or
                it refuses the key.

        Returns:
            Whether there are rules, as `is_ready`.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._first_attempt_done.wait()
                await self.id_lists.first_sync.wait()
        return self.is_ready

    async def refresh(self, timeout: float) -> bool:
        """Read the bootstrap file if it changed, and request the rules and the ID lists now.

        Args:
            timeout: Maximum time to wait, in seconds. A request that takes longer goes on.

        Returns:
            Whether all of it succeeded; the failures are in `health`.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._bootstrap.load()
                if self._is_offline:
                    return self.is_ready and not self._bootstrap.streak.last_error
                if self._shared is not None:
                    self._shared.ask_vendor()
                succeeded = await asyncio.gather(self._poll_loop.poll_now(), self.id_lists.poll_now())
                return all(succeeded) and not self._bootstrap.streak.last_error
        return False

    def stop_sharing(self) -> None:
        """Poll from this process only: the rules of a dev server are none of the fleet's."""
        self._shared = self.id_lists.shared = None

    async def load_bootstrap_only(self) -> bool:
        """Read the bootstrap if it changed, without a task, a thread or another source; return whether that succeeded.

        For a client that is switched off, which never calls `run`.
        """
        await self._bootstrap.load(blocking=True)
        self._record_no_values()
        self._first_attempt_done.set()
        return self.is_ready and not self._bootstrap.streak.last_error

    def subscribe(self, watcher: Watcher) -> None:
        """Call `watcher` on the event loop after the rules were replaced, with the change. Its errors are logged."""
        self._watchers.append(watcher)

    def observe(self, observer: Observer) -> None:
        """Call `observer` on the event loop after each poll, with the health. Its errors are logged."""
        self._observers.append(observer)

    def unsubscribe(self, listener: Callable[[Any], object]) -> None:
        """Stop calling a watcher or an observer."""
        self._watchers = [one for one in self._watchers if one is not listener]
        self._observers = [one for one in self._observers if one is not listener]

    def use_overrides(self, overrides: Overrides) -> None:
        """Apply local overrides from now on, to these rules and to all later ones."""
        self._shared_context = attrs.evolve(self._shared_context, overrides=overrides)
        self.rules = self.rules.with_context(attrs.evolve(self.rules.shared_context, overrides=overrides))
        self._override_check.check(self.rules)

    def health(self) -> RulesHealth:
        """Return the current health of the rules."""
        rules, now = self.rules, self._clock()
        streaks = [self.polling.streak, self.id_lists.polling.streak, self._bootstrap.streak]
        streaks += [] if self._shared is None else [self._shared.streak]
        return RulesHealth(
            source=rules.source,
            time_ms=rules.time_ms,
            age=(now - rules.received_at_ms) / 1000 if rules.sections else None,
            last_sync=None if self._last_sync_ms is None else (now - self._last_sync_ms) / 1000,
            last_error=next((streak.last_error for streak in streaks if streak.last_error), ""),
            failures=self.polling.streak.failures,
            refused=self._is_key_refused,
            names=sum(len(rules.sections.get(section, ())) for section in SECTIONS),
            id_lists={name: len(entries) for name, entries in list(self.id_lists.entries.items())},
            cache_failures=self._cache.streak.total,
            unknown_names=self._unknown_names.count(rules) if rules.sections else 0,
            unsupported_patterns=self._pattern_faults.unsupported,
            role="" if self._shared is None else self._shared.role,
        )

    # --- the tasks --------------------------------------------------------------------------------------------

    async def run(self, fetcher: Fetcher) -> None:
        """Load the first rules and keep them up to date, until cancelled. May be called again after a crash."""
        # Before the other sources: a bootstrap is there at once.
        await self._bootstrap.load()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._bootstrap.watch())
            if self._is_offline:
                await self.id_lists.load_cached()
                await self._load_cached()
                self._record_no_values()
                self._first_attempt_done.set()
            else:
                cached = group.create_task(self._load_cached())
                group.create_task(self.id_lists.run(fetcher))
                if self._shared is not None:
                    group.create_task(self._shared.run())
                await self._poll_loop.run(partial(self._poll, fetcher, cached))
            await asyncio.Event().wait()  # offline, all tasks may have ended

    async def _poll(self, fetcher: Fetcher, cached: asyncio.Task[None]) -> tuple[bool, float]:
        """Request the rules; return whether that succeeded, and the delay before the next request, in seconds."""
        answer = await self._fetch_rules(fetcher)
        # `delay_after` below records this failure; the fallback needs the count now.
        failures = self.polling.streak.failures + 1
        if answer.reason and self._settings.bypasses(failures, is_first=not self.rules.sections):
            bypass = await self._fetch_rules(fetcher, bypass_proxy=True)
            answer = answer if bypass.reason else bypass
        self._record_no_values()
        # Rules may still come soon 1. from the cache, while it is loading, 2. from a retry that is worthwhile.
        if cached.done() and not (answer.reason and self.polling.may_heal_soon(answer)):
            self._first_attempt_done.set()
        delay = self.polling.delay_after(answer, has_any=bool(self.rules.sections))
        self._is_key_refused = answer.refused
        if self._observers:
            notify(self._observers, self.health())
        return not answer.reason, delay

    async def _fetch_rules(self, fetcher: Fetcher, *, bypass_proxy: bool = False) -> RulesAnswer:
        """Request the rules once and install what comes. A body that is not a ruleset is an ordinary failure."""
        rules = self.rules
        answer = await self._request(fetcher, rules.time_ms, rules.checksum, bypass_proxy=bypass_proxy)
        if not answer.reason and self.rules.source == BOOTSTRAP and rules.time_ms:
            # "Nothing new" since the time of a bootstrap, which may be anything: ask for what the project has.
            answer = await self._request(fetcher, 0, "", bypass_proxy=bypass_proxy)
        if answer.reason:
            return answer
        if not self.rules.sections:
            return RulesAnswer(
                reason="nothing new was sent to a client without rules", retry_soon=False, malformed=True
            )
        # A response that says "nothing new" is a sync, too.
        self._last_sync_ms = self._clock()
        return answer

    async def _request(self, fetcher: Fetcher, time_ms: int, checksum: str, *, bypass_proxy: bool) -> RulesAnswer:
        async def ask(*, for_all: bool = False) -> Response:
            since = (0, "") if for_all else (time_ms, checksum)
            build = self._source.build_rules_request
            return await fetcher.fetch(build(*since, self._clock(), bypass_proxy=bypass_proxy))

        shared, key, has_any = self._shared, self._source.cache_key, bool(self.rules.sections)
        response = await (ask() if shared is None else shared.fetch(key, ask, has_any=has_any))
        if self.follows_interval:
            self.polling.interval = poll_interval(response, self.polling.interval)
        request = self._source.build_rules_request(time_ms, checksum, self._clock(), bypass_proxy=bypass_proxy)
        answer = read_response(response, request)
        if answer.body is not None:
            try:
                is_in_use = await self._install(answer.body, NETWORK)
            except ValueError as error:
                return RulesAnswer(reason=str(error), malformed=True)
            if shared is not None:
                await shared.publish(key, answer.body, self.rules.time_ms)
            # Only rules that are in use: what the cache has can be loaded.
            if is_in_use:
                await self._cache.save(key, answer.body)
        return answer

    async def _load_cached(self) -> None:
        """Install what the cache has, unless there are rules."""
        body = None if self.rules.sections else await self._cache.load(self._source.cache_key)
        if body is not None:
            # Guarded like a call of the cache: a body that is damaged counts as a failure of the cache.
            problem, fault = await call_guarded(partial(self._install_cached, body), MAX_CALL_SECONDS)
            if problem or fault:
                self._cache.streak.record_failure(problem or fault, retry_in=LOG_INTERVAL)

    async def _install_cached(self, body: bytes) -> str:
        """Install a body of the cache; return what is wrong with it, "" if nothing is."""
        try:
            is_in_use = await self._install(body, CACHE)
        except ValueError as error:
            return str(error)
        return "" if is_in_use or self.rules.sections else "the cached body has no rules"

    def _record_no_values(self) -> None:
        """Record that each source was tried: from now on the reason of lookups is `NoValues`."""
        if self.rules.source == UNINITIALIZED:
            self.rules = empty_ruleset(self._shared_context, NO_VALUES)

    # --- replacing --------------------------------------------------------------------------------------------

    async def _install(self, body: bytes, source: str) -> bool:
        """Compile a body in steps and use it if it should replace the current rules; return whether it does.

        Raises:
            ValueError: The body is not a ruleset.
        """
        async with self._install_lock:
            old, now = self.rules, self._clock()
            steps = load(
                body,
                self._shared_context,
                source=source,
                received_at_ms=now,
                previous=old,
                is_handmade=source == BOOTSTRAP,
            )
            new = await self.runner.run(steps)
            if new is old and source == NETWORK and old.source == BOOTSTRAP:  # confirmed by the network
                new = attrs.evolve(old, source=source, received_at_ms=now)
                await self.runner.run(as_generator(new.adopt_programs(old)))
            if new is None or new is old or not should_replace(new, old):
                return False
            if source == NETWORK and old.source == BOOTSTRAP and new.time_ms < old.time_ms:
                logger.warning(
                    "%s: the bootstrap's time, %d, is later than the project's, %d; using the project's rules",
                    self.name,
                    old.time_ms,
                    new.time_ms,
                )
            # What a lookup, a response or a watcher would otherwise compute after the replacement.
            if new.needs_countries:
                await self.runner.run(as_generator(self._countries.load()))
            if new.needs_patterns:
                await self.runner.run(as_generator(load_patterns()))
            await self.runner.run(as_generator(new.precompile(old)))
            await self.runner.run(as_generator(new.prepare_large()))
            await self.runner.run(as_generator(rebuild_views(old, new)))
            change = await self.runner.run(compare(old, new)) if self._watchers else None
            self._activate(new)
            if change is not None:
                notify(self._watchers, change)
            # Drop our own reference first; otherwise `release` cannot free anything.
            free_old = as_generator(release(old))
            del old
            await self.runner.run(free_old)
            return True

    def _activate(self, new: Ruleset) -> None:
        # Overrides may have changed since `load` began. This loses the programs; the next lookups compile them.
        overrides = self._shared_context.overrides
        if new.shared_context.overrides is not overrides:
            new = new.with_context(attrs.evolve(new.shared_context, overrides=overrides))
        self.rules = new
        self._override_check.check(new)
        self._first_attempt_done.set()
