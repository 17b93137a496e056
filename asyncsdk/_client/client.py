"""The client: what it takes, and what its verbs work with.

The verbs are in `LifecycleVerbs`, `EventVerbs`, `LookupVerbs`, `OverrideVerbs` and `HookVerbs`. A new option is an
argument here, a field of `Settings` that checks it, and a line in `build_parts` where it takes effect.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Self, Unpack

from asyncsdk._client.environment import SPOOL, destinations_from, missing_keys
from asyncsdk._client.hooks import HookVerbs, event_defaults
from asyncsdk._client.off_switch import is_enabled
from asyncsdk._client.parts import build_parts
from asyncsdk._client.settings import ClientOptions, Settings
from asyncsdk._client.signals import SignalDrain
from asyncsdk._client.start_close import LifecycleVerbs
from asyncsdk._delivery.spool.setting import SpoolLike
from asyncsdk._events.verbs import EventVerbs
from asyncsdk._lookups.evaluator import NoRules, RulesHolder
from asyncsdk._lookups.overrides import OverrideVerbs
from asyncsdk._lookups.verbs import LookupVerbs
from asyncsdk._model.engines import Engine
from asyncsdk._model.event_defaults import Defaults
from asyncsdk._model.fleet import SharedExposures
from asyncsdk._model.http import HttpSettings
from asyncsdk._model.receipts import Delivery
from asyncsdk._model.reports import Report
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Destination


class Client(LifecycleVerbs, EventVerbs, LookupVerbs, OverrideVerbs, HookVerbs):
    """One client for gates and events: all that a service needs of Statsig, RudderStack and Amplitude.

    Constructing a client does no I/O and needs no running loop, so it can be a module-level global. It belongs to the
    event loop and the process that start it.

    Args:
        *destinations: Where events go: `Statsig(...)`, `RudderStack(...)`, `Amplitude(...)`. Two of the same vendor
            need different names.
        default: Converts a value within an event that JSON cannot represent to one that it can, or raises TypeError,
            like `default` of `json.dumps`. None: such a value raises `InvalidEventError`.
        on_delivery: Called on the loop with the id and the `Delivery` of every event at every destination, once its
            status is final. It must not block; what it raises is logged.
        drain_on_sigterm: On SIGTERM, send at once what is queued, and later events as they come; see `signals.py`.
        http: Proxy, TLS and headers of all requests, unless a destination has its own `http`; None connects directly.
        spool: A folder on this machine, or `SqliteSpool(...)`: an awaited event verb then returns when the event is on
            disk, and it is delivered from there even if this process is killed. None keeps events in memory only.
        engine: `Redis(url)` or `Postgres(dsn)` of `asyncsdk.engines`: events are handed over to it, and the command
            `asyncsdk relay` delivers them. An awaited event verb returns when the engine has the event; with a spool,
            when it is on disk, where it stays until the engine has it. None delivers from this process.
        exposures: False reports no exposures to any destination, not even those of `log_exposure`, for load tests and
            replicas. Rules, lookups and events are unaffected.
        shared_exposures: An engine, such as `Redis(url)` or `Postgres(dsn)`, or its `exposures(window=...)`: the whole
            fleet reports each exposure once an hour, instead of each process once a minute. While the engine does not
            answer, each process reports its own. None: so does each process.
        enabled: False switches the client off, for review apps, seed scripts and unit tests: nothing is sent or
            started, verbs check their events and count them as `skipped: disabled`, and lookups know the bootstrap,
            overrides and fallbacks. None: on, unless the environment has `ASYNCSDK_ENABLED=0`.
        on_invalid: What an invalid event does: "raise" `InvalidEventError` from the call; or "report", so that it
            breaks no request: the call returns a receipt with the outcome `rejected: invalid`, `health()` counts it,
            and each kind of mistake is logged once. With `ASYNCSDK_DEV_SERVER` set, it always raises.
        properties: Properties of all events that do not have them: of `track`, `page`, `screen` and `log_event`. A
            function is called for each event, where its verb is called, and returns them. What an event has itself
            wins. None adds nothing.
        context: The same for RudderStack's `context`, of all events.
        start_timeout: Maximum time that `start`, and lookups meanwhile, wait for the first rules, in seconds.
        close_timeout: Maximum time that `aclose`, and so `async with`, takes to deliver what is queued, in seconds.

    Raises:
        ConfigurationError: Two destinations have the same name, one is not a destination, `on_delivery` is async, or a
            setting has the wrong type.
    """

    def __init__(
        self,
        *destinations: Destination,
        default: Callable[[Any], Any] | None = None,
        on_delivery: Callable[[str, Delivery], object] | None = None,
        drain_on_sigterm: bool = False,
        http: HttpSettings | None = None,
        spool: SpoolLike = None,
        engine: Engine | None = None,
        exposures: bool = True,
        shared_exposures: SharedExposures | Engine | None = None,
        enabled: bool | None = None,
        on_invalid: Literal["raise", "report"] = "raise",
        properties: Defaults = None,
        context: Defaults = None,
        start_timeout: float = 3.0,
        close_timeout: float = 5.0,
    ) -> None:
        self._settings = settings = Settings(
            default=default,
            on_delivery=on_delivery,
            drain_on_sigterm=drain_on_sigterm,
            http=http,
            spool=spool,
            engine=engine,
            exposures=exposures,
            shared_exposures=shared_exposures,
            enabled=enabled,
            on_invalid=on_invalid,
            defaults=event_defaults(properties, context),
            start_timeout=start_timeout,
            close_timeout=close_timeout,
        )
        self._destinations = destinations
        self._parts = parts = build_parts(destinations, settings)
        # The verbs use these directly: an attribute less is 5 % of a lookup.
        self._life = parts.life
        self._lanes = parts.lanes
        self._admission = parts.admission
        self._pacer = parts.pacer
        self._spooler = parts.spooler
        self._until_accepted = None if parts.link is None else parts.link.until_accepted
        self._write = parts.write
        self._refresher = parts.refresher
        self._holder: RulesHolder = parts.refresher or NoRules()
        self._exposures = parts.exposures
        self._assignments = parts.assignments
        self._override_sync = parts.overrides
        self._hooks = parts.hooks
        self._is_starting = False
        self._choose_path()
        self._signal: SignalDrain | None = None
        self._closing: asyncio.Future[Report] | None = None
        self._began_to_close = 0.0
        self._report_end: Callable[[], Awaitable[None]] | None = None  # set in dev mode only

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """The destinations that the client was made with."""
        return self._destinations

    @property
    def engine(self) -> Engine | None:
        """The engine that the client was made with."""
        return self._settings.engine

    @property
    def engines(self) -> tuple[object, ...]:
        """All engines that the client uses: for events, and for what it shares with its fleet; each once."""
        used = [self._settings.engine, *(getattr(store, "engine", None) for store in self._parts.stores)]
        return tuple({id(engine): engine for engine in used if hasattr(engine, "take")}.values())

    @property
    def http(self) -> HttpSettings | None:
        """The HTTP settings that the client was made with."""
        return self._settings.http

    def __repr__(self) -> str:
        names = ", ".join(lane.destination.name for lane in self._lanes)
        off = "" if self._parts.is_enabled else "off, "
        return f"<Client {off}{self._life.state} [{names}]: {self._parts.unsent()} events pending>"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Unpack[ClientOptions]) -> Self:
        """Build a client from environment variables: a destination exists if its key is set.

        | variable | meaning |
        |---|---|
        | `STATSIG_SECRET_KEY` | server secret key: there is a `Statsig` |
        | `STATSIG_ENVIRONMENT` | its `environment`, such as `staging` |
        | `STATSIG_SPECS_URL`, `STATSIG_LOG_EVENT_URL` | where its rules come from, and its events go |
        | `STATSIG_BOOTSTRAP` | path of a file with the rules to start from |
        | `RUDDERSTACK_WRITE_KEY`, `RUDDERSTACK_URL` | write key and data plane, both needed: there is a `RudderStack` |
        | `AMPLITUDE_API_KEY` | API key: there is an `Amplitude` |
        | `AMPLITUDE_ZONE`, `AMPLITUDE_URL` | its `zone`, `US` or `EU`; or another address |
        | `ASYNCSDK_SPOOL` | folder of the spool, unless the call has `spool=` |
        | `ASYNCSDK_ENABLED` | `0` switches the client off, unless the call has `enabled=` |

        `ASYNCSDK_DEV_SERVER`, and `ASYNCSDK_DEV_LINGER` for the maximum linger towards it (0.1 s unless set), are read
        when any client starts. A variable that is empty counts as not set.

        Args:
            environ: The variables; None reads those of the process.
            **options: The keywords of `Client`.

        Returns:
            A client that is not started.

        Raises:
            ConfigurationError: No key is set and the client is on, or a variable has a wrong value; it is named.
        """
        enabled = is_enabled(options.get("enabled"), os.environ if environ is None else environ)
        if environ is not None:
            options["enabled"] = enabled
        environ = os.environ if environ is None else environ
        destinations = destinations_from(environ)
        if enabled and not destinations:
            raise ConfigurationError(missing_keys())
        if options.get("spool") is None and environ.get(SPOOL):
            options["spool"] = environ[SPOOL]
        return cls(*destinations, **options)
