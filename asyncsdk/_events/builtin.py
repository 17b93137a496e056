"""Middleware that comes with the package: `redact` and `sample`."""

import hashlib
from collections.abc import Awaitable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any

import attrs

from asyncsdk._events.middleware import Middleware, Next, Payload
from asyncsdk._model.amplitude import Identify, Revenue
from asyncsdk._model.user_ids import ordering_key
from asyncsdk._model.users import User
from asyncsdk._model.values import Value
from asyncsdk.errors import ConfigurationError

# The fields of a user that hold text and may be redacted. The ids are not among them: no vendor takes an event without.
_USER_TEXTS = ("email", "ip", "user_agent", "country", "locale", "app_version")


@attrs.frozen(eq=False, repr=False)
class Redact(Value):
    """Middleware that replaces values by key, at any depth; built by `redact`.

    Attributes:
        names: The keys, and the fields of the user. Case-sensitive.
        replacement: Replaces each value.
    """

    names: frozenset[str]
    replacement: str

    def __call__(self, payload: Payload, next: Next) -> Awaitable[None]:
        """Pass on a copy of the event in which the named values are replaced."""
        changes: dict[str, Any] = {"user": self.clean_user(payload.event.user)}
        for field in ("name", "traits", "properties", "metadata", "context", "fields", "integrations"):
            value = getattr(payload.event, field, None)
            if isinstance(value, Mapping):
                changes[field] = self.clean(value)
            elif isinstance(value, Identify):
                changes[field] = value.map_properties(self.clean)
            elif isinstance(value, Revenue):  # the `name` of a `Track`
                changes[field] = attrs.evolve(value, properties=self.clean(value.properties))
        return next(attrs.evolve(payload, event=attrs.evolve(payload.event, **changes)))

    def clean_user(self, user: User) -> User:
        """Return a copy of a user in which the named values are replaced. Exposures use this directly."""
        changes: dict[str, Any] = {"custom": self.clean(user.custom), "custom_ids": self.clean(user.custom_ids)}
        for name in _USER_TEXTS:
            if name in self.names and getattr(user, name) is not None:
                changes[name] = self.replacement
        return attrs.evolve(user, **changes)

    def clean(self, value: Any) -> Any:
        """Return a copy of `value` in which the named keys' values are replaced.

        It looks into everything that becomes an object or a list in JSON: mappings, dataclasses, sequences and sets.
        """
        if is_dataclass(value) and not isinstance(value, type):
            return self.clean({field.name: getattr(value, field.name) for field in fields(value)})
        if isinstance(value, Mapping):
            return {key: self.replacement if key in self.names else self.clean(item) for key, item in value.items()}
        if isinstance(value, Sequence | AbstractSet) and not isinstance(value, str | bytes | bytearray):
            return [self.clean(item) for item in value]
        return value


def redact(*names: str, replacement: str = "[redacted]") -> Redact:
    """Build a middleware that replaces the values of these keys wherever an event has them, at any depth.

    This includes the users of events and exposures: their text fields (`email`, `ip`, ...), `custom` and `custom_ids`.
    `user_id`, `device_id` and `anonymous_id` are not redacted.

    Args:
        *names: Keys and fields, such as `"iban"`; case-sensitive. At least one.
        replacement: Replaces each value.

    Raises:
        ConfigurationError: No name is given, or one is not a string.
    """
    if not names or not all(isinstance(name, str) for name in names):
        msg = 'redact takes the names of keys: redact("password", "iban")'
        raise ConfigurationError(msg)
    return Redact(frozenset(names), replacement)


def sample(rate: float, *, salt: str = "") -> Middleware:
    """Build a middleware that passes on the events of a share of the users, always the same ones.

    A user is known by its `user_id`, else its `device_id`, else its `anonymous_id`, else a custom id. Exposures are not
    sampled.

    Args:
        rate: The share of users, from 0.0 (none) to 1.0 (all).
        salt: Selects which users; clients with the same salt keep the same ones.

    Raises:
        ConfigurationError: `rate` is out of range.
    """
    if not 0 <= rate <= 1:
        msg = f"sample takes a rate from 0 to 1, not {rate}"
        raise ConfigurationError(msg)

    def sampled(payload: Payload, next: Next) -> Awaitable[None] | None:
        # A hash of the user's id, as a number from 0 to 2**64: the same in every process, unlike `hash`.
        digest = hashlib.sha256(f"{salt}:{ordering_key(payload.event.user)}".encode("utf-8", "replace")).digest()
        if int.from_bytes(digest[:8]) < rate * 2**64:
            return next(payload)
        return None

    return sampled
