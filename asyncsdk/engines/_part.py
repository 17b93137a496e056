"""What an engine keeps for a fleet besides events: the part of a class that all of these have in common."""

from typing import Generic, Protocol, TypeVar

from asyncsdk.engines._extras import check_seconds
from asyncsdk.errors import ConfigurationError


class _Closable(Protocol):
    async def aclose(self) -> None: ...


AnyEngine = TypeVar("AnyEngine", bound=_Closable)


class Part(Generic[AnyEngine]):
    """One thing that an engine keeps; it has the engine's connections.

    Attributes:
        engine: The engine.
    """

    kind = "part"

    def __init__(self, engine: AnyEngine) -> None:
        """Use an engine; nothing is connected yet."""
        self.engine = engine

    def __repr__(self) -> str:
        return f"<{self.kind} of {self.engine!r}>"

    async def aclose(self) -> None:
        """Close the engine's connections."""
        await self.engine.aclose()


class RulesPart(Part[AnyEngine]):
    """Rules that a fleet shares: who may write them, and how long a leader leads."""

    kind = "rules"

    def __init__(self, engine: AnyEngine, *, may_write: bool, ttl: float) -> None:
        """Check the settings.

        Raises:
            ConfigurationError: One has a wrong value.
        """
        super().__init__(engine)
        if not isinstance(may_write, bool):
            msg = "`may_write` must be True or False"
            raise ConfigurationError(msg)
        self._may_write = may_write
        self._ttl = check_seconds(ttl, "ttl")

    def __repr__(self) -> str:
        return f"<rules of {self.engine!r}{'' if self._may_write else ', read only'}>"

    @property
    def may_write(self) -> bool:
        """Whether this process may lead."""
        return self._may_write

    @property
    def ttl(self) -> float:
        """Time after which another process leads, in seconds."""
        return self._ttl


class ExposuresPart(Part[AnyEngine]):
    """Exposures that a fleet has reported in a window."""

    def __init__(self, engine: AnyEngine, window: float) -> None:
        """Check the window.

        Raises:
            ConfigurationError: It is not a number of seconds above 0.
        """
        super().__init__(engine)
        self._window = check_seconds(window, "window")

    def __repr__(self) -> str:
        return f"<exposures of {self.engine!r}, every {self._window:g} s>"
