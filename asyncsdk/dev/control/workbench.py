"""The parts of the workbench, and how they are wired into one site."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs

from asyncsdk.dev.control import health, mcp, openapi, stream, verbs
from asyncsdk.dev.control.asserts import AssertCalls
from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.clients import ClientCalls, Clients
from asyncsdk.dev.control.events import EventCalls
from asyncsdk.dev.control.people import NamedUsers, PeopleCalls
from asyncsdk.dev.control.router import Router
from asyncsdk.dev.control.rules import RuleCalls
from asyncsdk.dev.control.sending import SendCalls
from asyncsdk.dev.control.site import Site
from asyncsdk.dev.control.snapshots import SnapshotCalls
from asyncsdk.dev.control.switches import SwitchCalls
from asyncsdk.dev.faults import FaultSchedule
from asyncsdk.dev.guard import Guard
from asyncsdk.dev.messages import IncomingRequest
from asyncsdk.dev.rulebook import Rulebook
from asyncsdk.dev.ruleset_watch import RulesetWatch


class Server(Protocol):
    """What the control API asks of the server itself."""

    @property
    def url(self) -> str:
        """Its address."""
        ...

    @property
    def vendor_names(self) -> Sequence[str]:
        """The names of its vendors."""
        ...

    def reset(self) -> None:
        """Forget what was received."""
        ...


@attrs.frozen(eq=False)
class Workbench:
    """The state that the control API shows and changes.

    Attributes:
        bench: What was received and reported.
        book: The ruleset with its edits and overrides.
        watch: The source of the ruleset.
        faults: The faults to come.
        guard: Decides who may use the server.
        users: The named users.
        clients: The clients that were heard of.
    """

    bench: Bench
    book: Rulebook
    watch: RulesetWatch
    faults: FaultSchedule
    guard: Guard
    users: NamedUsers = attrs.Factory(NamedUsers)
    clients: Clients = attrs.Factory(Clients)

    def reload_rules(self) -> None:
        """Load the ruleset's file if it has changed."""
        if self.watch.reload_if_changed():
            self.bench.changed("rules")

    def rules_fault(self) -> str:
        """Return why the ruleset's file cannot be served; `""` if it can."""
        self.reload_rules()
        return self.watch.fault

    def site(self, server: Server, ingest: Callable[[IncomingRequest], int], stopping: asyncio.Event) -> Site:
        """Build the site.

        Args:
            server: The server.
            ingest: Handles a request as if it had arrived; returns the status of the reply.
            stopping: Set when the server stops.
        """
        bench, book, users = self.bench, self.book, self.users
        about = health.About(
            lambda: server.url, lambda: str(book.path or ""), self.rules_fault, lambda: bench.kept_words
        )
        router = Router(
            stream.routes(bench, stopping),
            AssertCalls(bench).routes(),
            EventCalls(bench).routes(),
            health.routes(bench, about, server.reset),
            PeopleCalls(bench, book, users).routes(),
            RuleCalls(bench, book, users, self.reload_rules).routes(),
            SwitchCalls(bench, book, self.faults, tuple(server.vendor_names)).routes(),
            ClientCalls(bench, self.clients).routes(),
            SendCalls(bench, ingest).routes(),
            verbs.routes(lambda: server.url),
            openapi.routes(lambda: server.url),
            SnapshotCalls(bench, book, users).routes(),
            mcp.routes(lambda *call, **parts: router.invoke(*call, **parts)),  # noqa: PLW0108 -- there is no router yet
        )
        return Site(self.guard, router)
