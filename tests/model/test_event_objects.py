"""The name and the properties of an event that is an object."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar

import attrs
import pytest
from pydantic import BaseModel

from asyncsdk import InvalidEventError, Revenue, User
from asyncsdk._model.event_objects import in_words, take_apart

T = TypeVar("T")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("OrderCompleted", "Order Completed"),
        ("Purchase", "Purchase"),
        ("HTTPRequestSent", "HTTP Request Sent"),
        ("UserIDChanged", "User ID Changed"),
        ("SignUpViaSMS", "Sign Up Via SMS"),
        ("PlanBChosen", "Plan B Chosen"),
        ("ABTestViewed", "AB Test Viewed"),
        ("OAuthLogin", "OAuth Login"),
        ("URLsOpened", "URLs Opened"),
        ("UserIDs", "User IDs"),
        ("APIUp", "API Up"),
        ("HTTPAsyncSent", "HTTP Async Sent"),
        ("UserIsAdmin", "User Is Admin"),
        ("ISOStandard", "ISO Standard"),
        ("Step2Completed", "Step 2 Completed"),
        ("Level10Reached", "Level 10 Reached"),
        ("S3BucketCreated", "S3 Bucket Created"),
        ("Model3DViewed", "Model 3D Viewed"),
        ("Enabled2FA", "Enabled 2FA"),
        ("B2BSignup", "B2B Signup"),
        ("order_completed", "Order Completed"),
        ("orderCompleted", "Order Completed"),
        ("_OrderCompleted", "Order Completed"),
        ("Order_completed", "Order Completed"),
        ("ÉtéCommencé", "Été Commencé"),
        ("注文完了", "注文完了"),
        ("X", "X"),
        ("__", "__"),
    ],
)
def test_the_name_of_a_class_becomes_words(name: str, words: str) -> None:
    assert in_words(name) == words


@dataclass
class OfDataclass:
    sku: str
    _hidden: int = 0


@attrs.frozen
class OfAttrs:
    sku: str
    _hidden: int = 0


class OfPydantic(BaseModel):
    sku: str


@pytest.mark.parametrize("kind", [OfDataclass, OfAttrs, OfPydantic])
def test_the_fields_of_an_object_are_its_properties(kind: Any) -> None:
    assert take_apart(kind(sku="A")) == (f"Of {kind.__name__[2:]}", {"sku": "A"})


@dataclass
class NamedDataclass:
    event_name: ClassVar[str] = "Checkout"
    sku: str = "A"


@dataclass
class UnannotatedDataclass:
    event_name = "Checkout"
    sku: str = "A"


@attrs.define
class NamedAttrs:
    event_name: ClassVar[str] = "Checkout"
    sku: str = "A"


class NamedPydantic(BaseModel):
    event_name: ClassVar[str] = "Checkout"
    sku: str = "A"


@dataclass
class FieldOfDataclass:
    event_name: str = "Checkout"
    sku: str = "A"


@dataclass(slots=True)
class FieldOfSlots:
    event_name: str = "Checkout"
    sku: str = "A"


@attrs.define
class FieldOfAttrs:
    event_name: str = "Checkout"
    sku: str = "A"


class FieldOfPydantic(BaseModel):
    event_name: Literal["Checkout"] = "Checkout"
    sku: str = "A"


@attrs.frozen
class Computed:
    sku: str = "A"

    @property
    def event_name(self) -> str:
        return "Checkout"


class Inherited(NamedAttrs):
    pass


NAMED: list[Any] = [
    *(NamedDataclass, UnannotatedDataclass, NamedAttrs, NamedPydantic, Computed, Inherited),
    *(FieldOfDataclass, FieldOfSlots, FieldOfAttrs, FieldOfPydantic),
]


@pytest.mark.parametrize("kind", NAMED)
def test_an_event_name_replaces_that_of_the_class(kind: Any) -> None:
    assert take_apart(kind()) == ("Checkout", {"sku": "A"})


@pytest.mark.parametrize("kind", [FieldOfDataclass, FieldOfSlots, FieldOfAttrs])
def test_a_field_with_a_default_may_be_set_per_instance(kind: Any) -> None:
    assert take_apart(kind(event_name="Other")) == ("Other", {"sku": "A"})


@dataclass
class PartyPlanned:
    event_name: str
    _place: str = "home"


@attrs.define
class PartyOfAttrs:
    event_name: str


class PartyOfPydantic(BaseModel):
    event_name: str


@dataclass
class PartyOfFactory:
    event_name: str = field(default_factory=str)


@pytest.mark.parametrize("kind", [PartyPlanned, PartyOfAttrs, PartyOfPydantic, PartyOfFactory])
def test_a_field_without_a_default_is_a_property(kind: Any) -> None:
    name, properties = take_apart(kind(event_name="Birthday")) or ("", {})

    assert (name.split()[0], properties) == ("Party", {"event_name": "Birthday"})


class Viewed(BaseModel, Generic[T]):
    item: T


def test_a_generic_model_has_the_name_of_its_origin() -> None:
    assert take_apart(Viewed[int](item=1)) == ("Viewed", {"item": 1})


@dataclass
class Blank:
    event_name: ClassVar[str] = ""


@dataclass
class Method:
    def event_name(self) -> str:
        return "never called"


@dataclass
class Number:
    event_name: int = 5


@pytest.mark.parametrize("event", [Blank(), Method(), Number(), FieldOfDataclass("")])
def test_an_event_name_that_is_not_text_raises(event: object) -> None:
    with pytest.raises(InvalidEventError, match=rf"`{type(event).__name__}.event_name` must be text that is not empty"):
        take_apart(event)


@pytest.mark.parametrize("other", [None, 5, "text", {"a": 1}, OfAttrs, User("ada"), Revenue(4.99), object()])
def test_anything_else_is_not_an_event_object(other: object) -> None:
    assert take_apart(other) is None
