"""The event verbs, awaited. They only build the event; `Intake._take` admits it."""

from collections.abc import Sequence
from typing import Never, Unpack, overload

from asyncsdk._events.intake import Intake
from asyncsdk._model.amplitude import Identify, Revenue
from asyncsdk._model.engines import DatabaseConnection
from asyncsdk._model.events import (
    Alias,
    EventObject,
    Group,
    IdentifyEvent,
    LogEvent,
    Options,
    Page,
    Properties,
    PropertiesLike,
    Screen,
    Track,
    raw_event,
)
from asyncsdk._model.receipts import Receipt
from asyncsdk._model.users import User, UserLike

_ORDER = (
    "{0} takes (user, name, properties), and the category as a keyword: {0}(user, 'Pizza', {{...}}, category='Food')"
)


class EventVerbs(Intake):
    """The event verbs. `user` is a `User` or a `user_id`.

    Awaiting a verb admits the event: it is validated, encoded and enqueued (with a spool, written to disk). The verb
    returns a `Receipt`; awaiting the receipt waits until the event's outcome is final at every destination. All verbs
    take these keywords (`**options`):

        context: RudderStack's `context` object, merged over what the client fills in. None adds nothing.
        timestamp: When the event happened, a datetime with a time zone, such as `datetime.now(UTC)`. None means now.
        integrations: Which destinations get the event, by name: `{"All": False, "Amplitude": True}`. An object instead
            of True adds that vendor's own fields. None means all.
        message_id: Your own id for the event, the same each time you send it. None generates one.
        extra: Anything, for middleware; never sent. None passes an empty mapping.

    And `connection`: an asyncpg connection, a psycopg `AsyncConnection`, or a SQLAlchemy `AsyncSession` or
    `AsyncConnection`, in a transaction of yours. The event is written there, so it exists if and only if your
    transaction commits; a relay then delivers it. This needs `Client(engine=Postgres(dsn))` of the same database.

    Raises (all verbs):
        InvalidEventError: No vendor could accept the event: no id, no name, a wrong type, or a value that JSON cannot
            represent. It names the field.
        QueueFullError: The queue of a destination with `overflow="raise"` is full, or a spool that rejects events is.
        ClientClosedError: The client is not started, or it is closed.
        WrongEventLoopError: The client runs on another event loop.
        ForkedProcessError: The client was started in the parent process.

    With `connection`, the errors of its library are raised as they are, and also:
        TransactionError: It is of another type, closed, without a transaction, or its transaction has failed.
        ConfigurationError: The client has no Postgres engine.
    """

    async def identify(
        self,
        user: UserLike,
        traits: PropertiesLike | Identify | None = None,
        *,
        connection: DatabaseConnection | None = None,
        **options: Unpack[Options],
    ) -> Receipt:
        """Record who a user is.

        Args:
            user: The user, or a `user_id`.
            traits: What is known about the user, as an object or as Amplitude's `Identify` operations. None sends no
                traits.
            connection: Write the event in this transaction, see above. None admits it at once.
            **options: The keywords that all verbs take.

        Returns:
            The receipt of the admitted event.
        """
        return await self._take(IdentifyEvent(user, traits, **options), connection)  # type: ignore[arg-type] # a model: `validate_event` converts it to a mapping

    async def track(
        self,
        user: UserLike,
        event: str | Revenue | EventObject,
        properties: PropertiesLike | None = None,
        *,
        connection: DatabaseConnection | None = None,
        **options: Unpack[Options],
    ) -> Receipt:
        """Record what a user did.

        Args:
            user: The user, or a `user_id`.
            event: The event's name, not empty; or a `Revenue`; or an instance of a dataclass, attrs class or pydantic
                model: `OrderCompleted(sku="A")` is the event `Order Completed`, unless its class has an `event_name`.
            properties: Details of the event, besides those of such an object. None sends no others.
            connection: Write the event in this transaction, see above. None admits it at once.
            **options: The keywords that all verbs take.

        Returns:
            The receipt of the admitted event.
        """
        return await self._take(Track(user, event, properties, **options), connection)  # type: ignore[arg-type] # a model: `validate_event` converts it to a mapping

    async def page(
        self,
        user: UserLike,
        name: str | None = None,
        properties: PropertiesLike | None = None,
        *more: Never,
        category: str | None = None,
        connection: DatabaseConnection | None = None,
        **options: Unpack[Options],
    ) -> Receipt:
        """Record that a user saw a page of a website.

        Args:
            user: The user, or a `user_id`.
            name: The page's name. None leaves it out.
            properties: Details, such as `{"url": ...}`. None sends no properties.
            *more: Nothing: other SDKs take the category before the name.
            category: The page's category. None leaves it out.
            connection: Write the event in this transaction, see above. None admits it at once.
            **options: The keywords that all verbs take.

        Returns:
            The receipt of the admitted event.

        Raises:
            TypeError: There are more arguments than those.
        """
        if more:
            raise TypeError(_ORDER.format("page"))
        return await self._take(Page(user, name, properties, category=category, **options), connection)  # type: ignore[arg-type] # a model: `validate_event` converts it to a mapping

    async def screen(
        self,
        user: UserLike,
        name: str | None = None,
        properties: PropertiesLike | None = None,
        *more: Never,
        category: str | None = None,
        connection: DatabaseConnection | None = None,
        **options: Unpack[Options],
    ) -> Receipt:
        """Record that a user saw a screen of an app.

        Args:
            user: The user, or a `user_id`.
            name: The screen's name. None leaves it out.
            properties: Details of the event. None sends no properties.
            *more: Nothing: other SDKs take the category before the name.
            category: The screen's category. None leaves it out.
            connection: Write the event in this transaction, see above. None admits it at once.
            **options: The keywords that all verbs take.

        Returns:
            The receipt of the admitted event.

        Raises:
            TypeError: There are more arguments than those.
        """
        if more:
            raise TypeError(_ORDER.format("screen"))
        return await self._take(Screen(user, name, properties, category=category, **options), connection)  # type: ignore[arg-type] # a model: `validate_event` converts it to a mapping

    async def group(
        self,
        user: UserLike,
        group_id: str | int | Sequence[str | int],
        traits: PropertiesLike | Identify | None = None,
        *,
        group_type: str | None = None,
        connection: DatabaseConnection | None = None,
        **options: Unpack[Options],
    ) -> Receipt:
        """Record that a user belongs to a company, project or team.

        Args:
            user: The user, or a `user_id`.
            group_id: The group's id, not blank; or a list of ids, without traits, as of Amplitude's `set_group`. Only
                Amplitude has several groups in an event.
            traits: What is known about the group, as an object or as Amplitude's `Identify` operations that groups have
                (`set`, `set_once`, `add`, `append`, `prepend`, `unset`). None sends no traits.
            group_type: Amplitude's kind of group, such as `"company"`. None takes the destination's `group_type`.
            connection: Write the event in this transaction, see above. None admits it at once.
            **options: The keywords that all verbs take.

        Returns:
            The receipt of the admitted event.
        """
        return await self._take(Group(user, group_id, traits, group_type=group_type, **options), connection)  # type: ignore[arg-type] # a model: `validate_event` converts it to a mapping

    async def alias(
        self,
        previous_id: str | int,
        user: UserLike,
        *,
        connection: DatabaseConnection | None = None,
        **options: Unpack[Options],
    ) -> Receipt:
        """Record that a user had another id before. The old id comes first.

        Args:
            previous_id: The old id, not blank.
            user: The user, or the new `user_id`. A `User` needs a `user_id` here: an anonymous or device id is not
                enough.
            connection: Write the event in this transaction, see above. None admits it at once.
            **options: The keywords that all verbs take.

        Returns:
            The receipt of the admitted event.
        """
        return await self._take(Alias(previous_id, user, **options), connection)

    @overload
    async def log_event(
        self, user: Properties, /, *, connection: DatabaseConnection | None = None, **options: Unpack[Options]
    ) -> Receipt: ...

    @overload
    async def log_event(
        self,
        user: UserLike,
        event: str | EventObject,
        value: str | float | None = None,
        metadata: PropertiesLike | None = None,
        *,
        connection: DatabaseConnection | None = None,
        **options: Unpack[Options],
    ) -> Receipt: ...

    async def log_event(
        self,
        user: UserLike | Properties,
        event: str | EventObject | None = None,
        value: str | float | None = None,
        metadata: PropertiesLike | None = None,
        *,
        connection: DatabaseConnection | None = None,
        **options: Unpack[Options],
    ) -> Receipt:
        """Log an event in Statsig's form (user, name, value, metadata), or in Amplitude's (one object of its fields).

        Args:
            user: The user, or a `user_id`. Alone, a mapping with Amplitude's fields: `event_type`, and `user_id` or
                `device_id`.
            event: The event's name, not empty; or an object, as for `track`. None only if `user` is that mapping.
            value: Statsig's value of the event, text or a number. None leaves it out.
            metadata: Details of the event. None sends no metadata.
            connection: Write the event in this transaction, see above. None admits it at once.
            **options: The keywords that all verbs take.

        Returns:
            The receipt of the admitted event.
        """
        if event is None and not isinstance(user, User | str | int):
            return await self._take(raw_event(user, **options), connection)
        return await self._take(LogEvent(user, event, value, metadata, **options), connection)  # type: ignore[arg-type] # checked at admission
