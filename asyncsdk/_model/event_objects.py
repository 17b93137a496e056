"""Events as objects: an instance of a dataclass, attrs class or pydantic model that is an event's name and properties.

The name is that of the class: its `event_name` if it has one, else its own name in words.

| class | name of the event |
|---|---|
| `OrderCompleted` | Order Completed |
| `HTTPRequestSent`, `UserIDChanged`, `OAuthLogin` | HTTP Request Sent, User ID Changed, OAuth Login |
| `URLsOpened`, `Model3DViewed` | URLs Opened, Model 3D Viewed |
| `Step2Completed`, `S3BucketCreated`, `Enabled2FA` | Step 2 Completed, S3 Bucket Created, Enabled 2FA |
| `order_completed`, `_OrderCompleted` | Order Completed |

`event_name` is a class attribute, annotated with `ClassVar` or not, a property, or a field with a default, such as
pydantic's `event_name: Literal["Checkout"] = "Checkout"`. In none of these forms is it among the properties. A field
`event_name` without a default is a property like any other.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from inspect import ismemberdescriptor
from typing import Any

import attrs

from asyncsdk._model.encoding import as_fields
from asyncsdk._model.validation import raise_invalid

_FIELD = "event_name"


def take_apart(event: object) -> tuple[str, dict[str, Any]] | None:
    """Return the name and the properties of an event object; None if the object is not one.

    Raises:
        InvalidEventError: Its `event_name` is not text, or empty.
    """
    properties = None if isinstance(event, type | Mapping) else as_fields(event)
    if properties is None:
        return None
    kind: Any = type(event)
    name = _name_of_class(kind)
    if name is None:  # it is up to the instance: a property, or a field with a default
        name = getattr(event, _FIELD)
        properties.pop(_FIELD, None)
    if not (isinstance(name, str) and name):
        raise_invalid(f"{kind.__name__}.{_FIELD}", "text that is not empty", name)
    return name, properties


def in_words(name: str) -> str:
    """Return a class's name as words that begin with a capital: `OrderCompleted` is `Order Completed`."""
    letters = name.partition("[")[0].replace("_", " ").strip()  # a generic model is called `Viewed[int]`
    parts = [
        f" {letter}" if number and _begins_word(letters, number) else letter for number, letter in enumerate(letters)
    ]
    return " ".join(word[0].upper() + word[1:] for word in "".join(parts).split()) or name


def _begins_word(name: str, position: int) -> bool:
    previous, letter, following = name[position - 1], name[position], name[position + 1 : position + 3]
    # 1. After a small letter: "Order|Completed", "Step|2".
    if previous.islower():
        return letter.isupper() or letter.isdigit()
    # 2. A plural stays together: "URLs".
    if not letter.isupper() or not following[:1].islower() or (following[0] == "s" and not following[1:].islower()):
        return False
    # 3. After a digit: "2|Completed". 4. The last capital of a run: "HTTP|Request"; but "OAuth" is a word.
    return previous.isdigit() or (previous.isupper() and position > 1)


@lru_cache(maxsize=1024)
def _name_of_class(kind: type) -> Any:
    """Return the name of a class's events; None if each instance has its own."""
    given = getattr(kind, _FIELD, None)
    if isinstance(given, property) or _has_default(kind):
        return None
    return in_words(kind.__name__) if given is None or ismemberdescriptor(given) else given


def _has_default(kind: type) -> bool:
    """Return whether `event_name` is a field with a default."""
    model_fields: Any = getattr(kind, "model_fields", None) or getattr(kind, "__fields__", None)
    if isinstance(model_fields, Mapping):
        return isinstance(getattr(model_fields.get(_FIELD), "default", None), str)
    if attrs.has(kind):
        field = next((field for field in attrs.fields(kind) if field.name == _FIELD), None)
        return field is not None and isinstance(field.default, str)
    return is_dataclass(kind) and any(field.name == _FIELD and isinstance(field.default, str) for field in fields(kind))
