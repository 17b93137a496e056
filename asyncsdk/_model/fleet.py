"""What a fleet shares besides events: rules, and which exposures were reported.

Implementations are in `asyncsdk/engines`.

**Shared rules.** One process of the fleet leads: it polls the vendor and writes what is new; the others read. A leader
has a *token*, which grows with each leader. A write has the token of its writer and the version that it replaces, and
is refused if a later leader exists or another version is stored. So a leader that was paused, and does not know yet
that it has a successor, cannot write.

    leads ──renews in time──> leads ──resigns, or is late──> follows ──the lead is free──> leads, with a greater token

**Shared overrides.** One document with all overrides of a project. A write names the version that it replaces, so that
of two processes that change it at the same time neither undoes what the other did: the second one reads and repeats.

**Shared exposures.** A set of what was reported in the current window.

Every method may raise `EngineError`. The caller counts it, and continues without.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol, runtime_checkable

import attrs

WriteStatus = Literal["written", "changed", "fenced"]
"""What a write did; `changed`: another version is stored; `fenced`: there is a later leader. Both write nothing."""


@attrs.frozen
class Lead:
    """The right to poll the vendor.

    Attributes:
        token: Grows with each leader.
        due_in: Seconds until the vendor may be asked; 0 or less: it may be asked now, and that was recorded.
    """

    token: int
    due_in: float = 0.0


@attrs.frozen
class Copy:
    """What is stored under a key.

    Attributes:
        version: Changes with the content; "" if there is none.
        body: The content; None if there is none, or if it has the version that the caller knows.
        generation: Generation of an ID list's file; "" for anything else, or if another SDK wrote it.
    """

    version: str = ""
    body: bytes | None = attrs.field(default=None, repr=False)
    generation: str = ""


class SharedRules(Protocol):
    """Rules and ID lists that a fleet shares: `Rules(shared=...)`.

    `project` names the rules of one secret key, without containing it; `key` one ruleset, manifest or list of it.
    """

    @property
    def may_write(self) -> bool:
        """Whether this process may lead."""
        ...

    @property
    def ttl(self) -> float:
        """Time after which another process leads if the leader does not renew its lead, in seconds."""
        ...

    async def lead(self, project: str, ttl: float, key: str = "", interval: float = 0.0) -> Lead | None:
        """Take the lead, or renew it; return None while another process has it.

        Args:
            project: The project.
            ttl: Time after which another process may lead, in seconds, unless it is renewed.
            key: What the caller wants to ask the vendor for; "" nothing.
            interval: Minimum time between two requests of the whole fleet for `key`, in seconds.
        """
        ...

    async def resign(self, project: str) -> None:
        """Let another process lead at once."""
        ...

    async def read(self, project: str, key: str, known: str = "") -> Copy:
        """Return what is stored under a key.

        Args:
            project: The project.
            key: What to read.
            known: The version that the caller has; its body is not returned again.
        """
        ...

    async def write(
        self, project: str, key: str, body: bytes, *, replaces: str, token: int, generation: str = ""
    ) -> tuple[WriteStatus, str]:
        """Replace what is stored under a key, and notify the others.

        Args:
            project: The project.
            key: What to write.
            body: The new content.
            replaces: The version that is replaced; "" if there is none.
            token: Token of the caller's lead.
            generation: Generation of an ID list's file.

        Returns:
            What it did, and the new version if it was written.
        """
        ...

    def notices(self, project: str) -> AsyncIterator[None]:
        """Yield when it is time to read: at once, and then within a second of every write."""
        ...

    async def aclose(self) -> None:
        """Close all connections; a later call opens new ones. Does not raise."""
        ...


@runtime_checkable
class SharedOverrides(Protocol):
    """Overrides that a fleet shares: `Rules(overrides=...)`. `project` names those of one secret key."""

    async def read(self, project: str, known: str = "") -> Copy:
        """Return what is stored.

        Args:
            project: The project.
            known: The version that the caller has; its body is not returned again.
        """
        ...

    async def write(self, project: str, body: bytes, *, replaces: str) -> str | None:
        """Replace what is stored, and notify the others.

        Args:
            project: The project.
            body: The new content.
            replaces: The version that is replaced; "" if there is none.

        Returns:
            The new version; None, and nothing is written, if another version is stored.
        """
        ...

    def notices(self, project: str) -> AsyncIterator[None]:
        """Yield when it is time to read: at once, and then within a second of every write."""
        ...

    async def aclose(self) -> None:
        """Close all connections; a later call opens new ones. Does not raise."""
        ...


@runtime_checkable
class SharedExposures(Protocol):
    """Exposures that a fleet has reported: `Client(shared_exposures=...)`."""

    async def claim(self, exposures: Sequence[bytes]) -> Sequence[bool]:
        """Record exposures as reported.

        Args:
            exposures: A digest of 16 bytes of each: its unit, name and outcome.

        Returns:
            For each, whether it is the first one in its window.
        """
        ...

    async def release(self, exposures: Sequence[bytes]) -> None:
        """Forget exposures that could not be reported after all."""
        ...

    async def aclose(self) -> None:
        """Close all connections; a later call opens new ones. Does not raise."""
        ...
