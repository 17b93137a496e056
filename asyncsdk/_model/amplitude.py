"""Amplitude's builders: what to do with user properties, what was earned, and where an event comes from.

The rules are those of Amplitude's Identify API page and of its published builders
(`@amplitude/analytics-node` 1.5.73, `@amplitude/node` 1.10.2, `amplitude-analytics` 1.3.0): a property is
used once per builder and later uses are ignored; `clear_all` goes alone. Differences that are meant:

* a value that cannot be sent, or a name that is not text, raises `InvalidEventError` and says which
  property; the published builders ignore it in silence. `remove` checks its value like the others, and a
  list may hold booleans;
* an operation that groups do not have raises when the event is given; the Node builder drops it in silence;
* `Revenue` takes a price without decimals, leaves out an absent product, and refuses a quantity that is not
  a whole number above 0.
"""

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Self

import attrs
import orjson

from asyncsdk._model.encoding import to_json
from asyncsdk._model.validation import raise_invalid
from asyncsdk.errors import ConfigurationError, InvalidEventError

MAX_LEVELS = 40
MAX_KEYS = 1000
# The six that Amplitude's Group Identify API documents.
_GROUP_OPERATIONS = frozenset({"$set", "$setOnce", "$add", "$append", "$prepend", "$unset"})
# Amplitude wants a value even where none is needed.
_NO_VALUE = "-"


@attrs.define
class Identify:
    """What to do with a user's or group's properties; every call returns the builder, so calls chain.

    A value is text, a number, a boolean, an object, or a list of these; whatever else has a form in JSON (a
    datetime, a UUID, ...) is turned into it. It is copied when it is given.
    """

    _operations: dict[str, dict[str, Any]] = attrs.field(factory=dict, init=False)
    _cleared: bool = attrs.field(default=False, init=False)

    def set(self, name: str, value: Any) -> Self:
        """Give a property a value."""
        return self._use("$set", name, value)

    def set_once(self, name: str, value: Any) -> Self:
        """Give a property a value, unless it has ever had one."""
        return self._use("$setOnce", name, value)

    def add(self, name: str, value: float | Decimal) -> Self:
        """Add a number, below 0 to subtract; a property that is absent counts as 0."""
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise_invalid(name, "a number", value)
        return self._use("$add", name, value)

    def append(self, name: str, value: Any) -> Self:
        """Put a value, or each value of a list, at the end of a list."""
        return self._use("$append", name, value)

    def prepend(self, name: str, value: Any) -> Self:
        """Put a value, or each value of a list, at the start of a list."""
        return self._use("$prepend", name, value)

    def pre_insert(self, name: str, value: Any) -> Self:
        """Put values at the start of a list, those that it lacks."""
        return self._use("$preInsert", name, value)

    def post_insert(self, name: str, value: Any) -> Self:
        """Put values at the end of a list, those that it lacks."""
        return self._use("$postInsert", name, value)

    def remove(self, name: str, value: Any) -> Self:
        """Take a value, or each value of a list, out of a list wherever it occurs."""
        return self._use("$remove", name, value)

    def unset(self, name: str) -> Self:
        """Remove a property."""
        return self._use("$unset", name, _NO_VALUE)

    def clear_all(self) -> Self:
        """Remove all properties. Goes alone: earlier operations are forgotten, later ones ignored."""
        self._operations.clear()
        self._cleared = True
        return self

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self._operations and not self._cleared

    @property
    def user_properties(self) -> dict[str, Any]:
        """The operations in Amplitude's form: `{"$set": {"plan": "pro"}}`."""
        if self._cleared:
            return {"$clearAll": _NO_VALUE}
        return {operation: dict(properties) for operation, properties in self._operations.items()}

    @property
    def group_properties(self) -> dict[str, Any]:
        """The operations that groups have, in Amplitude's form."""
        return {
            operation: properties
            for operation, properties in self.user_properties.items()
            if operation in _GROUP_OPERATIONS
        }

    def map_properties(self, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> "Identify":
        """Make a builder of the same operations, with `change` applied to the properties of each."""
        other = Identify()
        other._cleared = self._cleared
        other._operations = {name: dict(change(properties)) for name, properties in self._operations.items()}
        return other

    def check_for_group(self) -> None:
        """Refuse operations that groups do not have.

        Raises:
            InvalidEventError: It names the operations.
        """
        strange = self.user_properties.keys() - _GROUP_OPERATIONS
        if strange:
            names = ", ".join(sorted(strange))
            msg = f"groups have no {names}: only set, set_once, add, append, prepend and unset"
            raise InvalidEventError(msg)

    def traits(self) -> dict[str, Any]:
        """Give the values of `set` and `set_once`, for vendors that know no operations."""
        return {**self._operations.get("$setOnce", {}), **self._operations.get("$set", {})}

    def _use(self, operation: str, name: str, value: Any) -> Self:
        """Note an operation, unless the property has one already."""
        copied = _copy(name, value)
        used = any(name in properties for properties in self._operations.values())
        if not used and not self._cleared:
            self._operations.setdefault(operation, {})[name] = copied
        return self


def _copy_object(value: Any) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        raise_invalid("properties", "an object (a mapping)", value)
    copied: dict[str, Any] | None = orjson.loads(to_json(value, "properties"))
    return copied


@attrs.frozen
class Revenue:
    """What a user paid, for `client.track(user, Revenue(4.99))`; becomes Amplitude's event `revenue_amount`.

    Attributes:
        price: Of one item; below 0 for a refund.
        quantity: Number of items, above 0.
        product_id: What was bought, such as a store's product id.
        revenue_type: Such as `purchase`, `refund` or `tax`.
        receipt: The app store's receipt, which Amplitude can verify; sent to Amplitude only.
        receipt_sig: The receipt's signature.
        properties: Other properties of the event; copied when given.
        revenue: The sum, if it is not price times quantity.
        currency: Three upper-case letters (ISO 4217).

    Raises:
        InvalidEventError: A number is none, the quantity is not a whole number above 0, a text is no text.
    """

    price: float | Decimal = attrs.field()
    quantity: int = attrs.field(default=1)
    product_id: str | None = attrs.field(default=None)
    revenue_type: str | None = attrs.field(default=None)
    receipt: str | None = attrs.field(default=None, repr=False)
    receipt_sig: str | None = attrs.field(default=None, repr=False)
    properties: Mapping[str, Any] | None = attrs.field(default=None, converter=_copy_object)
    revenue: float | Decimal | None = attrs.field(default=None)
    currency: str | None = attrs.field(default=None)

    def __attrs_post_init__(self) -> None:
        """Check the numbers and texts."""
        _check_amount("price", self.price)
        if self.revenue is not None:
            _check_amount("revenue", self.revenue)
        if isinstance(self.quantity, bool) or not isinstance(self.quantity, int) or self.quantity <= 0:
            raise_invalid("quantity", "a whole number above 0", self.quantity)
        for name in ("product_id", "revenue_type", "receipt", "receipt_sig", "currency"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise_invalid(name, "text", value)

    @property
    def event_type(self) -> str:
        """Amplitude's name of the event."""
        return "revenue_amount"

    @property
    def amount(self) -> float | Decimal:
        """The sum: what was given, else price times quantity."""
        return self.price * self.quantity if self.revenue is None else self.revenue

    @property
    def event_properties(self) -> dict[str, Any]:
        """The event's properties in Amplitude's form; its own `$` names win over those of `properties`."""
        return dict(self.properties or {}) | _without_none(
            {
                "$productId": self.product_id,
                "$quantity": self.quantity,
                "$price": self.price,
                "$revenueType": self.revenue_type,
                "$currency": self.currency,
                "$revenue": self.revenue,
                "$receipt": self.receipt,
                "$receiptSig": self.receipt_sig,
            }
        )

    def plain_properties(self) -> dict[str, Any]:
        """Give the properties under RudderStack's e-commerce names, for the other vendors; no receipt."""
        return dict(self.properties or {}) | _without_none(
            {
                "product_id": self.product_id,
                "quantity": self.quantity,
                "price": self.price,
                "revenue_type": self.revenue_type,
                "currency": self.currency,
                "revenue": self.amount,
            }
        )


def _check_texts(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and not isinstance(value, str):
        msg = f"`{attribute.name}` of {type(instance).__name__} must be text, not {type(value).__name__}"
        raise ConfigurationError(msg)


@attrs.frozen
class Plan:
    """Which tracking plan the events follow; Amplitude's `plan`. None leaves a field out."""

    branch: str | None = attrs.field(default=None, validator=_check_texts)
    source: str | None = attrs.field(default=None, validator=_check_texts)
    version: str | None = attrs.field(default=None, validator=_check_texts)
    version_id: str | None = attrs.field(default=None, validator=_check_texts)

    def fields(self) -> dict[str, str]:
        """Give what is present, under Amplitude's names."""
        return _without_none(
            {
                "branch": self.branch,
                "source": self.source,
                "version": self.version,
                "versionId": self.version_id,
            }
        )


@attrs.frozen
class IngestionMetadata:
    """Which tool the events come through; Amplitude's `ingestion_metadata`. None leaves a field out."""

    source_name: str | None = attrs.field(default=None, validator=_check_texts)
    source_version: str | None = attrs.field(default=None, validator=_check_texts)

    def fields(self) -> dict[str, str]:
        """Give what is present, under Amplitude's names."""
        return _without_none({"source_name": self.source_name, "source_version": self.source_version})


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _copy(name: object, value: Any) -> Any:
    """Take a value as JSON has it, so that nobody can change it, and check what Amplitude wants of it."""
    if not isinstance(name, str):
        msg = f"a property's name must be text, not {type(name).__name__}"
        raise InvalidEventError(msg)
    copied = orjson.loads(to_json(value, name))
    _check_value(copied, name, name, 1)
    return copied


def _check_value(value: Any, name: str, path: str, level: int) -> None:
    """Refuse null, a list in a list, and objects that are too deep or too large."""
    if value is None:
        raise_invalid(path, "text, a number, a boolean, an object or a list of these", value)
    if level > MAX_LEVELS:
        msg = f"`{name}` has more than {MAX_LEVELS} levels"
        raise InvalidEventError(msg)
    if isinstance(value, dict):
        if len(value) > MAX_KEYS:
            msg = f"`{path}` has more than {MAX_KEYS} keys"
            raise InvalidEventError(msg)
        for key, item in value.items():
            _check_value(item, name, f"{path}[{key!r}]", level + 1)
    if isinstance(value, list):
        for number, item in enumerate(value):
            if isinstance(item, list):
                msg = f"`{path}[{number}]` is a list in a list, which Amplitude does not take"
                raise InvalidEventError(msg)
            _check_value(item, name, f"{path}[{number}]", level + 1)


def _check_amount(field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not math.isfinite(value):
        raise_invalid(field, "a finite number", value)
