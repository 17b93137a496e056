"""A web application with one handler and one SDK or none. `in_app.py` runs it in a process of its own.

    python benchmarks/_shop.py "asyncsdk, awaited" http://127.0.0.1:9 rules.json     # prints its port

The handler builds a user, checks three gates and tracks one event. `GET /usage` returns the CPU time and
memory that the process has used, `GET /drain` delivers the queued events.
"""

import asyncio
import gc
import logging
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import orjson
from _measure import EVENT, SMALL
from _peers import ENDLESS, PEERS
from aiohttp import web
from memory import resident

GATES = ("public", "detailed", "half")
USER: dict[str, Any] = {
    "email": "ada@example.com",
    "country": "NL",
    "app_version": "1.3.0",
    "custom": {"plan": "pro", "level": 9, "beta": True, "team": "red", "score": 1.5},
}
Handler = Callable[[web.Request], Awaitable[web.Response]]
Drain = Callable[[], Awaitable[object]]


@attrs.frozen
class Place:
    """The application and the addresses that an SDK is set up with.

    Attributes:
        app: The application.
        url: The URL of the vendors.
        rules: The file with the rules.
    """

    app: web.Application
    url: str
    rules: Path


Sdk = Callable[[Place], tuple[Handler, Drain]]


def respond(answers: list[bool]) -> web.Response:
    """Return the response for the values of the gates."""
    return web.Response(body=orjson.dumps({"gates": answers}), content_type="application/json")


def none(_: Place) -> tuple[Handler, Drain]:
    """Use no SDK: the floor."""

    async def handle(request: web.Request) -> web.Response:
        return respond([bool(request.headers["X-User"])] * len(GATES))

    return handle, partial(asyncio.sleep, 0)


def awaited(place: Place, *, rudderstack: bool = False) -> tuple[Handler, Drain]:
    """Use asyncsdk, awaited in the handler."""
    from asyncsdk import User  # noqa: PLC0415 -- only in the process that measures it
    from asyncsdk.integrations.aiohttp import CLIENT, run_client  # noqa: PLC0415 -- only in the process that measures it

    client = place.app[CLIENT] = make_client(place, rudderstack=rudderstack)
    place.app.cleanup_ctx.append(run_client)

    async def handle(request: web.Request) -> web.Response:
        user = User(request.headers["X-User"], **USER)
        answers = [await client.check_gate(user, gate) for gate in GATES]
        await client.track(user, EVENT, dict(SMALL))
        return respond(answers)

    return handle, partial(client.flush, 60)


def integrated(place: Place) -> tuple[Handler, Drain]:
    """Use asyncsdk through its integration with aiohttp."""
    from asyncsdk import User  # noqa: PLC0415 -- only in the process that measures it
    from asyncsdk.integrations.aiohttp import get_flags, setup  # noqa: PLC0415 -- only in the process that measures it

    client = make_client(place)
    setup(place.app, client, user=lambda request: User(request.headers["X-User"], **USER))

    async def handle(request: web.Request) -> web.Response:
        asked = get_flags(request)
        answers = [asked.check_gate(gate) for gate in GATES]
        asked.track(EVENT, dict(SMALL))
        return respond(answers)

    return handle, partial(client.flush, 60)


def by_hand(place: Place) -> tuple[Handler, Drain]:
    """Build by hand what the integration with aiohttp sends."""
    from asyncsdk import User  # noqa: PLC0415 -- only in the process that measures it
    from asyncsdk.integrations.aiohttp import CLIENT, run_client  # noqa: PLC0415 -- only in the process that measures it

    client = place.app[CLIENT] = make_client(place)
    place.app.cleanup_ctx.append(run_client)

    async def handle(request: web.Request) -> web.Response:
        headers = request.headers
        language = headers["Accept-Language"].partition(",")[0]
        user = User(headers["X-User"], ip=request.remote, user_agent=headers["User-Agent"], locale=language, **USER)
        flags = client.bind(user)
        answers = [flags.check_gate(gate) for gate in GATES]
        flags.track(EVENT, dict(SMALL))
        return respond(answers)

    return handle, partial(client.flush, 60)


def make_client(place: Place, *, rudderstack: bool = False) -> Any:
    from asyncsdk import Client, Limits, RudderStack, Rules, Statsig  # noqa: PLC0415 -- only in the process that measures it

    specs = Rules(bootstrap=place.rules, specs_url=f"{place.url}/v2/download_config_specs")
    # Under callgrind, a service is too slow to fill its batches in time.
    limits = Limits(linger=55) if "--counted" in sys.argv else Limits()
    statsig = Statsig("secret-key", rules=specs, log_event_url=place.url, limits=limits)
    return Client(statsig, RudderStack("key", place.url)) if rudderstack else Client(statsig)


def core_client(place: Place) -> Any:
    """Create a client of statsig-python-core with the rules of a file."""
    import statsig_python_core as package  # noqa: PLC0415 -- only in the process that measures it
    from statsig_python_core.data_store import DataStore, DataStoreResponse  # noqa: PLC0415 -- see above

    class Store(DataStore):  # type: ignore[misc] # it has no types
        def get(self, key: str) -> Any:
            return DataStoreResponse(place.rules.read_text(), 1) if "download_config_specs" in key else None

    options = package.StatsigOptions(
        data_store=Store(),
        specs_url=f"{place.url}/v2/download_config_specs",
        log_event_url=f"{place.url}/v1/log_event",
        disable_country_lookup=True,
        event_logging_max_pending_batch_queue_size=ENDLESS // 1000,
        output_log_level="none",
    )
    client = package.Statsig("secret-key", options)
    client.initialize().wait()
    return client


def core(place: Place) -> tuple[Handler, Drain]:
    """Use statsig-python-core (Rust)."""
    import statsig_python_core as package  # noqa: PLC0415 -- only in the process that measures it

    client = core_client(place)
    texts = {key: str(value) for key, value in SMALL.items()}  # it accepts no other values

    async def handle(request: web.Request) -> web.Response:
        user = package.StatsigUser(request.headers["X-User"], **USER)
        answers = [client.check_gate(user, gate) for gate in GATES]
        client.log_event(user, EVENT, metadata=dict(texts))
        return respond(answers)

    return handle, partial(asyncio.to_thread, lambda: client.shutdown().wait())


def legacy(place: Place) -> tuple[Handler, Drain]:
    """Use the pure-Python `statsig`."""
    from statsig import StatsigEvent, StatsigOptions, StatsigServer, StatsigUser  # noqa: PLC0415 -- see above

    server = StatsigServer()
    options = StatsigOptions(
        f"{place.url}/v1/", bootstrap_values=_inline(place.rules.read_bytes()), disable_country_lookup=True
    )
    server.initialize("secret-key", options)

    async def handle(request: web.Request) -> web.Response:
        user = StatsigUser(request.headers["X-User"], **USER)
        answers = [server.check_gate(user, gate) for gate in GATES]
        server.log_event(StatsigEvent(user, EVENT, metadata=dict(SMALL)))
        return respond(answers)

    return handle, partial(asyncio.to_thread, server.shutdown)


def _inline(body: bytes) -> str:
    """Convert rules to the older form, in which rules contain their conditions."""
    parsed = orjson.loads(body)
    table = parsed.pop("condition_map")
    for section in ("feature_gates", "dynamic_configs", "layer_configs"):
        for name, spec in parsed[section].items():
            spec["name"] = name
            for rule in spec["rules"]:
                rule["conditions"] = [table[key] for key in rule["conditions"]]
        parsed[section] = list(parsed[section].values())
    return orjson.dumps(parsed | {"layers": {}, "id_lists": {}}).decode()


def events_only(place: Place, *, name: str, gzip: bool) -> tuple[Handler, Drain]:
    """Only track, with an SDK that has no gates or requests each from its server."""
    peer = PEERS[name](place.url, gzip=gzip)

    async def handle(request: web.Request) -> web.Response:
        peer.put(request.headers["X-User"], EVENT, dict(SMALL))
        return respond([True] * len(GATES))

    return handle, partial(asyncio.to_thread, peer.drain)


SDKS: Mapping[str, Sdk] = {
    "none": none,
    "asyncsdk, awaited": awaited,
    "asyncsdk, by hand": by_hand,
    "asyncsdk, integration": integrated,
    "asyncsdk, awaited, and RudderStack": partial(awaited, rudderstack=True),
    "core": core,
    "statsig (legacy)": legacy,
    # With their default compression.
    "rudder": partial(events_only, name="rudder", gzip=True),
    "amplitude": partial(events_only, name="amplitude", gzip=False),
    "posthog": partial(events_only, name="posthog", gzip=False),
}
GATED = tuple(name for name in SDKS if name.startswith(("asyncsdk", "core", "statsig")))


class Usage:
    """What this process has used: CPU time, memory, and the worst stall since the last request."""

    def __init__(self) -> None:
        """Start with no stall."""
        self._worst = 0.0

    async def tick(self) -> None:
        """Wake up every millisecond, and record the worst lateness."""
        while True:
            due = time.perf_counter() + 0.001
            await asyncio.sleep(0.001)
            self._worst = max(self._worst, time.perf_counter() - due)

    async def tell(self, request: web.Request) -> web.Response:
        """Return CPU seconds, resident bytes and the worst stall in milliseconds; `?tick` starts a ticker."""
        if "tick" in request.query:
            request.app[TICKER].append(asyncio.create_task(self.tick()))
        worst, self._worst = self._worst * 1000, 0.0
        used = resource.getrusage(resource.RUSAGE_SELF)
        figures = {"cpu": used.ru_utime + used.ru_stime, "resident": resident(), "stall": worst}
        return web.Response(body=orjson.dumps(figures))


TICKER: web.AppKey[list[asyncio.Task[None]]] = web.AppKey("ticker")


async def serve(name: str, url: str, rules: Path) -> None:
    """Serve on a free port, print it, and run until stdin is closed."""
    app, usage = web.Application(), Usage()
    handle, drain = SDKS[name](Place(app, url, rules))

    async def drained(_: web.Request) -> web.Response:
        await drain()
        return web.Response(body=b"{}")

    app[TICKER] = []
    app.add_routes([web.get("/", handle), web.get("/usage", usage.tell), web.get("/drain", drained)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # other SDKs have threads that would keep the process alive


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    if "--counted" in sys.argv:  # a full collection that falls into the count would be a tenth of it
        gc.disable()
    if "--no-isal" in sys.argv:
        sys.modules["isal"] = None  # type: ignore[assignment] # as if it were not installed
    asyncio.run(serve(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
