"""The keywords of `Client`, checked."""

from collections.abc import Callable
from typing import Any, Literal, TypedDict

import attrs

from asyncsdk._client.arguments import seconds, switch
from asyncsdk._delivery.spool.setting import SpoolLike
from asyncsdk._model.engines import Engine
from asyncsdk._model.event_defaults import Defaults, EventDefaults
from asyncsdk._model.fleet import SharedExposures
from asyncsdk._model.http import HttpSettings
from asyncsdk._model.receipts import Delivery
from asyncsdk._model.validation import describe_type
from asyncsdk._model.values import Value
from asyncsdk.errors import ConfigurationError


class ClientOptions(TypedDict, total=False):
    """The keywords of `Client`, which documents them."""

    default: Callable[[Any], Any] | None
    on_delivery: Callable[[str, Delivery], object] | None
    drain_on_sigterm: bool
    http: HttpSettings | None
    spool: SpoolLike
    engine: Engine | None
    exposures: bool
    shared_exposures: SharedExposures | Engine | None
    enabled: bool | None
    on_invalid: Literal["raise", "report"]
    properties: Defaults
    context: Defaults
    start_timeout: float
    close_timeout: float


def _check_switch(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    switch(value, attribute.name)


def _check_seconds(_: object, __: object, value: Any) -> None:
    seconds(value)


def _check_engine(_: object, __: object, value: Any) -> None:
    if value is not None and (isinstance(value, type) or not hasattr(value, "put") or not hasattr(value, "take")):
        msg = f"`engine` must be an engine such as Redis(url) or Postgres(dsn), not {describe_type(value)}"
        raise ConfigurationError(msg)


def _to_exposures(given: Any) -> Any:
    """Return where an engine records reported exposures; anything else as it is."""
    is_engine = not isinstance(given, type) and hasattr(given, "put") and hasattr(given, "exposures")
    return given.exposures() if is_engine else given


def _check_exposures(_: object, __: object, value: Any) -> None:
    if value is not None and (isinstance(value, type) or not isinstance(value, SharedExposures)):
        msg = "`shared_exposures` must be an engine such as Redis(url) or Postgres(dsn), or its `exposures(...)`"
        raise ConfigurationError(msg)


def _check_on_invalid(_: object, __: object, value: object) -> None:
    if value not in ("raise", "report"):
        msg = f"`on_invalid` must be 'raise' or 'report', not {value!r}"
        raise ConfigurationError(msg)


@attrs.frozen(eq=False, repr=False, kw_only=True)
class Settings(Value):
    """What `Client(...)` was given besides its destinations; `Client` documents each.

    Raises:
        ConfigurationError: A setting has the wrong type.
    """

    default: Callable[[Any], Any] | None
    on_delivery: Callable[[str, Delivery], object] | None
    drain_on_sigterm: bool = attrs.field(validator=_check_switch)
    http: HttpSettings | None
    spool: SpoolLike = attrs.field(repr=False)
    engine: Engine | None = attrs.field(validator=_check_engine, repr=False)
    exposures: bool = attrs.field(validator=_check_switch)
    shared_exposures: SharedExposures | None = attrs.field(
        default=None, converter=_to_exposures, validator=_check_exposures, repr=False
    )
    enabled: bool | None = attrs.field(validator=attrs.validators.optional(_check_switch))
    on_invalid: Literal["raise", "report"] = attrs.field(validator=_check_on_invalid)
    defaults: EventDefaults
    start_timeout: float
    close_timeout: float = attrs.field(validator=_check_seconds)
