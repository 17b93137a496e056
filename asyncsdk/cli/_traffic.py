"""What the demo does to the shop: who asks for what, and what goes wrong meanwhile."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from asyncsdk.dev import Fault, ReceivedRequest

CUSTOMERS = (
    "ada.lovelace",
    "alan.turing",
    "barbara.liskov",
    "donald.knuth",
    "edsger.dijkstra",
    "grace.hopper",
    "katherine.johnson",
    "margaret.hamilton",
)
# Amplitude wants ids of five characters.
SHORT_ID = "bob"
HURRIED = CUSTOMERS[5]


@attrs.frozen
class Visit:
    """One request to the shop.

    Attributes:
        user: Whose; None for a kiosk.
        body: JSON to send; None sends none.
        events: How many events the shop makes of it.
    """

    method: str
    path: str
    user: str | None
    body: dict[str, Any] | None = None
    events: int = 1


@attrs.frozen
class Trouble:
    """A fault for a vendor's next requests that it applies to, `times` of them."""

    vendor: str
    fault: Fault
    times: int = 1


@attrs.frozen
class Phase:
    """A part of the demo.

    Attributes:
        title: What happens in it.
        visits: The shop's customers, who come a few at a time.
        troubles: What goes wrong.
        flush: Whether it ends when every event has its fate; else they are still queued when the next begins.
    """

    title: str
    visits: Sequence[Visit]
    troubles: Sequence[Trouble] = ()
    flush: bool = True


def looking(user: str) -> list[Visit]:
    """Look around, on the site and in the app."""
    return [
        Visit("GET", "/", user),
        Visit("GET", "/products/teapot", user),
        Visit("GET", "/products/lamp", user),
        Visit("GET", "/app/basket", user),
        Visit("POST", "/visits", user, {"campaign": "autumn"}),
    ]


def joining(user: str) -> list[Visit]:
    """Sign up, and buy for a company from now on."""
    name = user.partition(".")[0].title()
    return [
        Visit("POST", "/signup", user, {"name": name, "email": f"{user}@example.com"}, events=2),
        Visit("POST", "/team", user, {"company": f"{name} & Co", "plan": "pro"}),
    ]


def buying(user: str) -> list[Visit]:
    """Buy a teapot."""
    return [
        Visit("POST", "/cart", user, {"sku": "teapot"}),
        Visit("POST", "/orders", user, {"sku": "teapot", "card": "4111 1111 1111 1111"}, events=2),
    ]


def regretting(user: str) -> list[Visit]:
    """Send it back."""
    return [Visit("POST", "/refunds", user, {"sku": "teapot"})]


def at_the_kiosk(user: str) -> list[Visit]:
    """Buy in a store."""
    return [Visit("POST", "/kiosk", None, kiosk_event(user, price=19.95))]


def kiosk_event(user: str, price: object) -> dict[str, Any]:
    """Write an event as a kiosk does, in Amplitude's form."""
    return {
        "event_type": "Kiosk Sale",
        "user_id": user,
        "price": price,
        "event_properties": {"store": "Delft", "card": "5500 0000 0000 0004"},
    }


def everybody(*journeys: Callable[[str], list[Visit]]) -> list[Visit]:
    """Let all customers make these journeys, side by side."""
    each = [[visit for journey in journeys for visit in journey(user)] for user in CUSTOMERS]
    return [visit for step in zip(*each, strict=True) for visit in step]


CONSENT = Visit("POST", "/consents", CUSTOMERS[0], {"purpose": "newsletter", "email": "ada.lovelace@example.com"})


def of_user(user: str) -> Callable[[ReceivedRequest], bool]:
    """Recognise Amplitude's requests with an event of this user."""
    return lambda request: any(event.get("user_id") == user for event in request.json["events"])


def throttling(user: str) -> Fault:
    """Answer as Amplitude does when one user sends too much; its `Retry-After` keeps the demo short."""
    body = {
        "code": 429,
        "error": "Too many requests for some devices and users",
        "eps_threshold": 10,
        "throttled_users": {user: 31},
        "throttled_devices": {},
        "throttled_events": [],
    }
    return Fault(429, body=body, retry_after=1, when=of_user(user))


PHASES: Sequence[Phase] = (
    Phase("all is well", everybody(joining, looking)),
    Phase(
        "RudderStack answers 503 three times",
        [CONSENT, *everybody(looking, buying)],
        [Trouble("rudderstack", Fault(503), times=3)],
    ),
    Phase(
        "Amplitude throttles one user (429)",
        everybody(looking, buying, regretting),
        [Trouble("amplitude", throttling(HURRIED))],
    ),
    Phase(
        "two replies get lost on the way",
        everybody(looking, at_the_kiosk),
        [Trouble("rudderstack", Fault.lost_reply()), Trouble("amplitude", Fault.lost_reply())],
    ),
    Phase(
        "two events that Amplitude refuses",
        [
            *looking(SHORT_ID)[:1],
            Visit("POST", "/kiosk", None, kiosk_event("alan.turing", price="free")),
            *everybody(looking),
        ],
    ),
    Phase("the shop closes with events queued", everybody(buying, regretting), flush=False),
)
