"""Amplitude's builders: operations on user properties, revenue, the tracking plan and ingestion metadata.

They follow Amplitude's Identify API page and its published builders (`@amplitude/analytics-node` 1.5.73,
`@amplitude/node` 1.10.2, `amplitude-analytics` 1.3.0): a property is used once per builder, and later uses are ignored;
`clear_all` cannot be combined with other operations. Intended differences:

1. A value that cannot be sent, or a name that is not text, raises `InvalidEventError` with the name of the property;
   the published builders ignore it silently. `remove` checks its value like the others, and a list may hold booleans.
2. An operation that groups do not support raises when the event is admitted; the Node builder drops it silently.
3. `Revenue` accepts a price without decimals, leaves out an absent product, and rejects a quantity that is not a whole
   number above 0.
"""

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Self

import attrs

from asyncsdk._model.fragments import copy_as_json
from asyncsdk._model.validation import raise_invalid
from asyncsdk._model.values import Comparable, Value
from asyncsdk.errors import ConfigurationError, InvalidEventError

# Amplitude's limits for an object: levels of nesting, and keys on each level.
MAX_LEVELS = 40
MAX_KEYS = 1000
# The operations that Amplitude's Group Identify API documents.
_GROUP_OPERATIONS = frozenset({"$set", "$setOnce", "$add", "$append", "$prepend", "$unset"})
# Amplitude requires a value even for operations that do not use one.
_NO_VALUE = "-"


@attrs.define(eq=False, repr=False)
class Identify(Comparable):
    """Operations on the properties of a user or group. Each method returns the builder, so calls can be chained.

    Values are text, numbers, booleans, objects, or lists of these; other values with a JSON form, such as a datetime
    or a UUID, are converted. Values are copied when given. Each property can be used once; later uses are ignored.

    Example: `client.identify("u1", Identify().set("plan", "pro").add("logins", 1))`.
    """

    _operations: dict[str, dict[str, Any]] = attrs.field(factory=dict, init=False)
    _cleared: bool = attrs.field(default=False, init=False)

    def set(self, name: str, value: Any) -> Self:
        """Set a property."""
        return self._record("$set", name, value)

    def set_once(self, name: str, value: Any) -> Self:
        """Set a property, unless it has ever been set."""
        return self._record("$setOnce", name, value)

    def add(self, name: str, value: float | Decimal) -> Self:
        """Add a number, negative to subtract, to a property; a missing property counts as 0."""
        if isinstance(value, bool) or not isinstance(value, Real | Decimal):
            raise_invalid(name, "a number", value)
        return self._record("$add", name, value)

    def append(self, name: str, value: Any) -> Self:
        """Append a value, or each value of a list, to a list property."""
        return self._record("$append", name, value)

    def prepend(self, name: str, value: Any) -> Self:
        """Prepend a value, or each value of a list, to a list property."""
        return self._record("$prepend", name, value)

    def pre_insert(self, name: str, value: Any) -> Self:
        """Prepend the values that a list property does not contain yet."""
        return self._record("$preInsert", name, value)

    def post_insert(self, name: str, value: Any) -> Self:
        """Append the values that a list property does not contain yet."""
        return self._record("$postInsert", name, value)

    def remove(self, name: str, value: Any) -> Self:
        """Remove all occurrences of a value, or of each value of a list, from a list property."""
        return self._record("$remove", name, value)

    def unset(self, name: str) -> Self:
        """Remove a property."""
        return self._record("$unset", name, _NO_VALUE)

    def clear_all(self) -> Self:
        """Remove all properties. Discards earlier operations of this builder; later ones are ignored."""
        self._operations.clear()
        self._cleared = True
        return self

    @property
    def is_empty(self) -> bool:
        """Whether there are no operations."""
        return not self._operations and not self._cleared

    @property
    def user_properties(self) -> dict[str, Any]:
        """The operations in Amplitude's form: `{"$set": {"plan": "pro"}}`."""
        if self._cleared:
            return {"$clearAll": _NO_VALUE}
        return {operation: dict(properties) for operation, properties in self._operations.items()}

    @property
    def group_properties(self) -> dict[str, Any]:
        """The operations that groups support, in Amplitude's form."""
        return {
            operation: properties
            for operation, properties in self.user_properties.items()
            if operation in _GROUP_OPERATIONS
        }

    def map_properties(self, function: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> "Identify":
        """Return a copy with `function` applied to the properties of each operation."""
        other = Identify()
        other._cleared = self._cleared
        other._operations = {name: dict(function(properties)) for name, properties in self._operations.items()}
        return other

    def check_for_group(self) -> None:
        """Check that groups support all operations.

        Raises:
            InvalidEventError: Some are not supported; the message names them.
        """
        unsupported = self.user_properties.keys() - _GROUP_OPERATIONS
        if unsupported:
            names = ", ".join(sorted(unsupported))
            msg = f"groups have no {names}: only set, set_once, add, append, prepend and unset"
            raise InvalidEventError(msg)

    def traits(self) -> dict[str, Any]:
        """Return the values of `set` and `set_once`, for vendors without operations."""
        return {**self._operations.get("$setOnce", {}), **self._operations.get("$set", {})}

    def _record(self, operation: str, name: str, value: Any) -> Self:
        """Record an operation, unless the property already has one."""
        # Validate first: an invalid value raises even if the property was used before.
        copied = _copy(name, value)
        used = any(name in properties for properties in self._operations.values())
        if not used and not self._cleared:
            self._operations.setdefault(operation, {})[name] = copied
        return self


def _copy_object(value: Any) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        raise_invalid("properties", "an object (a mapping)", value)
    copied: dict[str, Any] | None = copy_as_json(value, "properties")
    return copied


def _as_int(value: Any) -> Any:
    """Return a whole number of another type, such as numpy's, as an int; anything else as it is."""
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) and _is_finite(value) else value


@attrs.frozen(eq=False, repr=False)
class Revenue(Value):
    """A payment or refund, for `client.track(user, Revenue(4.99))`; Amplitude's event `revenue_amount`.

    Attributes:
        price: Price of one item, in units of `currency`; negative for a refund.
        quantity: Number of items, at least 1.
        product_id: Id of the product, or None.
        revenue_type: The kind of revenue, such as `purchase`, `refund` or `tax`, or None.
        receipt: The app store's receipt, which Amplitude can verify; sent to Amplitude only. May be None.
        receipt_sig: The receipt's signature, or None.
        properties: Other properties of the event; copied when given. May be None.
        revenue: The total; None means price times quantity.
        currency: Currency code of three upper-case letters (ISO 4217), or None.

    Raises:
        InvalidEventError: An amount is not a finite number, the quantity is not a whole number above 0, or another
            field has the wrong type.
    """

    price: float | Decimal = attrs.field()
    quantity: int = attrs.field(default=1, converter=_as_int)
    product_id: str | None = attrs.field(default=None)
    revenue_type: str | None = attrs.field(default=None)
    receipt: str | None = attrs.field(default=None, repr=False)
    receipt_sig: str | None = attrs.field(default=None, repr=False)
    properties: Mapping[str, Any] | None = attrs.field(default=None, converter=_copy_object)
    revenue: float | Decimal | None = attrs.field(default=None)
    currency: str | None = attrs.field(default=None)

    def __attrs_post_init__(self) -> None:
        """Validate the fields."""
        _check_amount("price", self.price)
        if self.revenue is not None:
            _check_amount("revenue", self.revenue)
        # `bool` is a subclass of `int`, so it is excluded here and in `_check_amount`.
        if isinstance(self.quantity, bool) or not isinstance(self.quantity, int) or self.quantity <= 0:
            raise_invalid("quantity", "a whole number above 0", self.quantity)
        for name in ("product_id", "revenue_type", "receipt", "receipt_sig", "currency"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise_invalid(name, "text", value)

    @property
    def event_type(self) -> str:
        """The name of the event."""
        return "revenue_amount"

    @property
    def amount(self) -> float | Decimal:
        """The total: `revenue` if given, otherwise price times quantity."""
        return self.price * self.quantity if self.revenue is None else self.revenue

    @property
    def event_properties(self) -> dict[str, Any]:
        """The event's properties in Amplitude's form; fields under `$` names override those of `properties`."""
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
        """Return the properties under RudderStack's e-commerce names, without the receipt, for the other vendors."""
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


@attrs.frozen(eq=False, repr=False)
class Plan(Value):
    """The tracking plan that events follow; Amplitude's `plan`. Fields that are None are not sent.

    Attributes:
        branch: Name of the plan's branch.
        source: Name of the plan's source.
        version: Version of the plan.
        version_id: Id of that version.
    """

    branch: str | None = attrs.field(default=None, validator=_check_texts)
    source: str | None = attrs.field(default=None, validator=_check_texts)
    version: str | None = attrs.field(default=None, validator=_check_texts)
    version_id: str | None = attrs.field(default=None, validator=_check_texts)

    def fields(self) -> dict[str, str]:
        """Return the fields that are set, under Amplitude's names."""
        return _without_none(
            {
                "branch": self.branch,
                "source": self.source,
                "version": self.version,
                "versionId": self.version_id,
            }
        )


@attrs.frozen(eq=False, repr=False)
class IngestionMetadata(Value):
    """The tool that sends the events; Amplitude's `ingestion_metadata`. Fields that are None are not sent.

    Attributes:
        source_name: Name of the tool.
        source_version: Version of the tool.
    """

    source_name: str | None = attrs.field(default=None, validator=_check_texts)
    source_version: str | None = attrs.field(default=None, validator=_check_texts)

    def fields(self) -> dict[str, str]:
        """Return the fields that are set, under Amplitude's names."""
        return _without_none({"source_name": self.source_name, "source_version": self.source_version})


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _copy(name: object, value: Any) -> Any:
    """Return a copy of a value in its JSON form, after checking it against Amplitude's rules."""
    if not isinstance(name, str):
        msg = f"a property's name must be text, not {type(name).__name__}"
        raise InvalidEventError(msg)
    # Encoding and decoding makes a deep copy and converts other types in one step.
    copied = copy_as_json(value, name)
    _check_value(copied, name, name, 1)
    return copied


def _check_value(value: Any, name: str, path: str, level: int) -> None:
    """Raise `InvalidEventError` for null, a list in a list, and objects that are too deep or too large."""
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
    if isinstance(value, bool) or not isinstance(value, Real | Decimal) or not _is_finite(value):
        raise_invalid(field, "a finite number", value)


def _is_finite(value: Real | Decimal) -> bool:
    try:
        return math.isfinite(value)
    except (ArithmeticError, TypeError, ValueError):  # too large for a float, a signalling NaN, a duration of numpy
        return False
