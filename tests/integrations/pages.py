"""The pages of a small application, the same in every framework. A page's parameters name what it needs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import attrs

from asyncsdk import Client, Flags, User
from asyncsdk.integrations import current_flags

Page = Callable[..., Awaitable[object]]


async def plain() -> object:
    return "hello"


async def whoami(user: User) -> object:
    return attrs.asdict(user, filter=lambda field, value: field.init and value is not None)


async def gate(flags: Flags) -> object:
    return [flags.check_gate("hers"), flags.check_gate("hers"), flags.check_gate("open")]


async def group(flags: Flags) -> object:
    return flags.get_experiment("button").group


async def fail(flags: Flags) -> object:
    flags.check_gate("hers")
    raise ZeroDivisionError


async def buy(client: Client, flags: Flags, user: User) -> object:
    await client.track(user, "Before")
    flags.check_gate("hers")
    flags.get_experiment("button")
    await client.track(user, "Bought", {"price": 5})
    await client.track("another-user", "Got a present")
    return None


async def every_verb(client: Client, flags: Flags, user: User) -> object:
    flags.check_gate("open")
    await client.track(user, "track")
    await client.page(user, "page")
    await client.screen(user, "screen")
    await client.log_event(user, "log_event", 1.5, {"sku": "A"})
    await client.identify(user, {"plan": "pro"})
    flags.track("flags.track", {"price": 5})
    await client.track(user, "own", {"feature_flags": "mine"})
    return None


async def meet(flags: Flags, client: Client, user: User, meeting: asyncio.Barrier) -> object:
    """Read and track while other requests do, whose flags must not be mixed up with this one's."""
    await meeting.wait()
    hers = flags.check_gate("hers")
    await meeting.wait()
    ambient = current_flags()
    await client.track(user, "Met", {"who": user.user_id})
    return [user.user_id, hers, ambient is flags]


async def visit(flags: Flags, client: Client, user: User) -> object:
    """Read, yield to other requests, read again and track."""
    half = flags.check_gate("half")
    await asyncio.sleep(0)
    flags.get_experiment("button")
    await client.track(user, "Visited", {"who": user.user_id})
    return [user.user_id, half]


async def later(
    flags: Flags, client: Client, user: User, meeting: asyncio.Barrier, tasks: list[asyncio.Task[None]]
) -> object:
    """Start a task that runs after the response."""
    flags.check_gate("hers")

    async def work() -> None:
        await meeting.wait()
        await client.track(user, "Later", {"who": current_flags().user.user_id})

    tasks.append(asyncio.create_task(work()))
    return None


async def refresh(flags: Flags, client: Client, user: User) -> object:
    """Read a gate before and after its rules change."""
    before = flags.check_gate("open")
    client.override_gate("open", not before)
    client.override_gate("hers", True)
    return [before, flags.check_gate("open"), flags.check_gate("hers"), await client.check_gate(user, "open")]


PAGES: Mapping[str, Page] = {
    page.__name__: page for page in (plain, whoami, gate, group, fail, buy, every_verb, meet, visit, later, refresh)
}


async def stream(flags: Flags, meeting: asyncio.Barrier) -> AsyncIterator[str]:
    """Respond in two parts; the second waits until the client has received the first."""
    yield f"{flags.user.user_id}:"
    await meeting.wait()
    yield f"{current_flags().check_gate('hers')}"


def socket(flags: Flags, message: str) -> str:
    """Return the response to a websocket's message, which names a gate."""
    return f"{flags.user.user_id} {flags.check_gate(message)}"


Given = dict[str, Any]
"""Arguments of pages that do not come from the framework: a barrier, a list of tasks."""
