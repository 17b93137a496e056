"""The event verbs, awaited. They only build the event: admission does the rest."""

from typing import Unpack, overload

from asyncsdk._model.amplitude import Identify, Revenue
from asyncsdk._model.events import (
    Alias,
    Event,
    Group,
    IdentifyEvent,
    LogEvent,
    Options,
    Page,
    Properties,
    Screen,
    Track,
    raw_event,
)
from asyncsdk._model.receipts import Receipt
from asyncsdk._model.users import User, UserLike


class EventVerbs:
    """What may be said of a user. `user` is a `User`, or an id.

    Awaiting a verb means that the event is admitted: checked, encoded and queued. It returns a `Receipt`; awaiting that
    one waits for the event's fate. All verbs take these keywords:

        context: RudderStack's `context` object, merged over what is known.
        timestamp: When it happened, if not now; a datetime without zone is UTC.
        integrations: Which destinations take it, by name; an object instead of True adds that vendor's own fields.
        message_id: Your own id for it; None makes one.
        extra: Anything, for middleware; never sent.

    and raise:

        InvalidEventError: No vendor could take it: no id, no name, a wrong type, a value without a form in JSON.
        QueueFullError: A destination with `overflow="raise"` is full.
        ClientClosedError: The client was not started, or is closed.
        WrongEventLoopError: The client runs on another event loop.
        ForkedProcessError: It was started in the parent of this process.
    """

    async def _take(self, event: Event) -> Receipt:
        raise NotImplementedError

    async def identify(
        self, user: UserLike, traits: Properties | Identify | None = None, **options: Unpack[Options]
    ) -> Receipt:
        """Say who a user is: `traits` as an object, or as Amplitude's `Identify` operations."""
        return await self._take(IdentifyEvent(user, traits, **options))

    async def track(
        self, user: UserLike, event: str | Revenue, properties: Properties | None = None, **options: Unpack[Options]
    ) -> Receipt:
        """Say what a user did: `event` is its name, or a `Revenue`."""
        return await self._take(Track(user, event, properties, **options))

    async def page(
        self,
        user: UserLike,
        name: str | None = None,
        properties: Properties | None = None,
        *,
        category: str | None = None,
        **options: Unpack[Options],
    ) -> Receipt:
        """Say which page of a site a user saw."""
        return await self._take(Page(user, name, properties, category=category, **options))

    async def screen(
        self,
        user: UserLike,
        name: str | None = None,
        properties: Properties | None = None,
        *,
        category: str | None = None,
        **options: Unpack[Options],
    ) -> Receipt:
        """Say which screen of an app a user saw."""
        return await self._take(Screen(user, name, properties, category=category, **options))

    async def group(
        self,
        user: UserLike,
        group_id: str | int,
        traits: Properties | Identify | None = None,
        *,
        group_type: str | None = None,
        **options: Unpack[Options],
    ) -> Receipt:
        """Say which company, project or team a user belongs to; `group_type` is Amplitude's kind of group."""
        return await self._take(Group(user, group_id, traits, group_type=group_type, **options))

    async def alias(self, previous_id: str | int, user: UserLike, **options: Unpack[Options]) -> Receipt:
        """Say which id a user had before: the old one comes first."""
        return await self._take(Alias(previous_id, user, **options))

    @overload
    async def log_event(self, user: Properties, /, **options: Unpack[Options]) -> Receipt: ...

    @overload
    async def log_event(
        self,
        user: UserLike,
        event: str,
        value: str | float | None = None,
        metadata: Properties | None = None,
        **options: Unpack[Options],
    ) -> Receipt: ...

    async def log_event(
        self,
        user: UserLike | Properties,
        event: str | None = None,
        value: str | float | None = None,
        metadata: Properties | None = None,
        **options: Unpack[Options],
    ) -> Receipt:
        """Log an event in Statsig's form (user, name, value, metadata) or in Amplitude's (one object of its fields)."""
        if event is None and not isinstance(user, User | str | int):
            return await self._take(raw_event(user, **options))
        return await self._take(LogEvent(user, event, value, metadata, **options))  # type: ignore[arg-type] # checked at admission
