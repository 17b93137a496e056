"""The calls about the server itself: its health, and a reset."""

import time
from collections.abc import Callable

import attrs

from asyncsdk._version import __version__
from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.calls import Call, Routes
from asyncsdk.dev.received_event import Json


@attrs.frozen
class About:
    """What the server says of itself.

    Attributes:
        url: Returns its address.
        ruleset: Returns the path of the ruleset's file; `""` without one.
        ruleset_fault: Returns why that file cannot be served; `""` if it can.
        kept: What is kept, and how long.
    """

    url: Callable[[], str]
    ruleset: Callable[[], str]
    ruleset_fault: Callable[[], str]
    kept: Callable[[], str]


def routes(bench: Bench, about: About, reset: Callable[[], object]) -> Routes:
    """Return the calls."""

    async def health(call: Call) -> Json:
        # A request is answered only once the server listens, so that a client that retries has nothing to wait for.
        call.seconds("wait", 0.0)
        return {
            "status": "ok",
            "version": __version__,
            "url": about.url(),
            "run_id": bench.run_id,
            "uptime": round(time.time() - bench.began, 3),
            "ruleset": about.ruleset(),
            "ruleset_fault": about.ruleset_fault(),
            "kept": about.kept(),
            "keep_file": bench.keep_file,
            "keep": bench.history.keep,
            "keep_bytes": bench.history.keep_bytes,
            "used_bytes": bench.history.used_bytes,
            "events": len(bench.history.events),
            "last_seq": bench.history.last_seq,
            "changes": bench.changes,
        }

    async def clear(_: Call) -> Json:
        reset()
        bench.changed("events")
        return {"run_id": bench.run_id}

    return {("GET", "health"): health, ("POST", "reset"): clear}
