"""Middleware that comes with the package: `redact` and `sample`."""

import hashlib
from collections.abc import Awaitable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any

import attrs

from asyncsdk._events.middleware import Middleware, Next, Payload
from asyncsdk._model.amplitude import Identify, Revenue
from asyncsdk._model.users import User, ordering_key
from asyncsdk.errors import ConfigurationError

_USER_TEXTS = ("email", "ip", "user_agent", "country", "locale", "app_version")


@attrs.frozen
class Redact:
    """Middleware that replaces values by name, at any depth: made by `redact`."""

    names: frozenset[str]
    replacement: str

    def __call__(self, payload: Payload, next: Next) -> Awaitable[None]:
        """Pass the event on without what is named."""
        changes: dict[str, Any] = {"user": self.clean_user(payload.event.user)}
        for field in ("name", "traits", "properties", "metadata", "context", "fields", "integrations"):
            value = getattr(payload.event, field, None)
            if isinstance(value, Mapping):
                changes[field] = self.clean(value)
            elif isinstance(value, Identify):
                changes[field] = value.map_properties(self.clean)
            elif isinstance(value, Revenue):
                changes[field] = attrs.evolve(value, properties=self.clean(value.properties))
        return next(attrs.evolve(payload, event=attrs.evolve(payload.event, **changes)))

    def clean_user(self, user: User) -> User:
        """Copy a user with every named field replaced, for what is sent without passing middleware: exposures."""
        fields: dict[str, Any] = {"custom": self.clean(user.custom), "custom_ids": self.clean(user.custom_ids)}
        for name in _USER_TEXTS:
            if name in self.names and getattr(user, name) is not None:
                fields[name] = self.replacement
        return attrs.evolve(user, **fields)

    def clean(self, value: Any) -> Any:
        """Copy `value` with every named key's value replaced, in whatever holds keys when it is written as JSON."""
        if is_dataclass(value) and not isinstance(value, type):
            return self.clean({field.name: getattr(value, field.name) for field in fields(value)})
        if isinstance(value, Mapping):
            return {key: self.replacement if key in self.names else self.clean(item) for key, item in value.items()}
        if isinstance(value, Sequence | AbstractSet) and not isinstance(value, str | bytes | bytearray):
            return [self.clean(item) for item in value]
        return value


def redact(*names: str, replacement: str = "[redacted]") -> Redact:
    """Make a middleware that replaces the values of these keys wherever an event may hold them, at any depth.

    That includes the fields of its user (`email`, `ip`, ...), and the users of exposures. Names are case-sensitive; ids
    are not redacted.

    Raises:
        ConfigurationError: No name was given.
    """
    if not names or not all(isinstance(name, str) for name in names):
        msg = 'redact takes the names of keys: redact("password", "iban")'
        raise ConfigurationError(msg)
    return Redact(frozenset(names), replacement)


def sample(rate: float, *, salt: str = "") -> Middleware:
    """Make a middleware that passes on the events of this share of the users, and always of the same ones.

    Args:
        rate: 0.0 (nobody) to 1.0 (everybody).
        salt: Another one picks other users.

    Raises:
        ConfigurationError: The rate is out of range.
    """
    if not 0 <= rate <= 1:
        msg = f"sample takes a rate from 0 to 1, not {rate}"
        raise ConfigurationError(msg)

    def sampled(payload: Payload, next: Next) -> Awaitable[None] | None:
        digest = hashlib.sha256(f"{salt}:{ordering_key(payload.event.user)}".encode("utf-8", "replace")).digest()
        if int.from_bytes(digest[:8]) < rate * 2**64:
            return next(payload)
        return None

    return sampled
