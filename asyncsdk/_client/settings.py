"""The keywords of `Client`, checked."""

from collections.abc import Callable
from typing import Any

import attrs

from asyncsdk._client.arguments import seconds, switch
from asyncsdk._delivery.spool.setting import SpoolLike
from asyncsdk._model.http import HttpSettings
from asyncsdk._model.receipts import Delivery


def _check_switch(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    switch(value, attribute.name)


def _check_seconds(_: object, __: object, value: Any) -> None:
    seconds(value)


@attrs.frozen(kw_only=True)
class Settings:
    """What `Client(...)` was given besides its destinations; `Client` documents each.

    Raises:
        ConfigurationError: A setting has the wrong type.
    """

    default: Callable[[Any], Any] | None
    on_delivery: Callable[[str, Delivery], object] | None
    drain_on_sigterm: bool = attrs.field(validator=_check_switch)
    http: HttpSettings | None
    spool: SpoolLike = attrs.field(repr=False)
    exposures: bool = attrs.field(validator=_check_switch)
    start_timeout: float
    close_timeout: float = attrs.field(validator=_check_seconds)
