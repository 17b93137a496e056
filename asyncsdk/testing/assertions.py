"""Assertions about the events that a fake client has recorded."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from asyncsdk._model.events import Event
from asyncsdk._model.users import UserLike
from asyncsdk.testing.matching import Expected, failure

_NO_PROPERTIES: Mapping[str, Any] = {}


class EventAssertions:
    """The assertions of `FakeClient`. A name and a mapping of properties are positional, other properties keywords."""

    _waiters: list[Callable[[], object]]

    @property
    def events(self) -> list[Event]:
        """The events, oldest first."""
        raise NotImplementedError

    def tracked(
        self,
        name: str,
        properties: Mapping[str, Any] = _NO_PROPERTIES,
        /,
        *,
        user: UserLike | None = None,
        **more: Any,
    ) -> list[Event]:
        """Return the events that match, oldest first.

        Args:
            name: The event's name. Of an event without a name, the verb: `identify`, `group`, `alias`.
            properties: Properties that it has, and perhaps others.
            user: The user, or any of the user's ids; None is any user.
            **more: Further properties.
        """
        expected = Expected(name, user, {**properties, **more})
        return [event for event in self.events if not expected.differences(event)]

    def assert_tracked(
        self,
        name: str,
        properties: Mapping[str, Any] = _NO_PROPERTIES,
        /,
        *,
        user: UserLike | None = None,
        **more: Any,
    ) -> Event:
        """Assert that at least one event matches; the arguments are those of `tracked`.

        Returns:
            The first event that matches.

        Raises:
            AssertionError: None does; the text shows the nearest ones field by field.
        """
        __tracebackhide__ = True  # pytest then shows the line of the test
        found = self.tracked(name, properties, user=user, **more)
        if not found:
            raise AssertionError(failure(Expected(name, user, {**properties, **more}), self.events))
        return found[0]

    def assert_not_tracked(
        self,
        name: str,
        properties: Mapping[str, Any] = _NO_PROPERTIES,
        /,
        *,
        user: UserLike | None = None,
        **more: Any,
    ) -> None:
        """Assert that no event matches; the arguments are those of `tracked`.

        Raises:
            AssertionError: One does; the text shows it.
        """
        __tracebackhide__ = True
        found = self.tracked(name, properties, user=user, **more)
        if found:
            expected = Expected(name, user, {**properties, **more})
            msg = (
                f"{len(found)} of {len(self.events)} events should not have been tracked, being {expected}: {found[0]}"
            )
            raise AssertionError(msg)

    async def wait_for(
        self,
        name: str,
        properties: Mapping[str, Any] = _NO_PROPERTIES,
        /,
        *,
        user: UserLike | None = None,
        within: float = 1.0,
        **more: Any,
    ) -> Event:
        """Wait until an event matches, for events of background tasks; the arguments are those of `tracked`.

        Args:
            name: As in `tracked`.
            properties: As in `tracked`.
            user: As in `tracked`.
            within: Maximum time to wait, in seconds.
            **more: As in `tracked`.

        Returns:
            The first event that matches.

        Raises:
            AssertionError: None does within that time; the text shows the nearest ones field by field.
        """
        __tracebackhide__ = True
        arrived, loop = asyncio.Event(), asyncio.get_running_loop()
        waiter = lambda: loop.call_soon_threadsafe(arrived.set)  # noqa: E731 -- compared by identity below
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(within):
                while not (found := self.tracked(name, properties, user=user, **more)):
                    await arrived.wait()
                    arrived.clear()
                return found[0]
        except TimeoutError:
            return self.assert_tracked(name, properties, user=user, **more)
        finally:
            self._waiters.remove(waiter)
