"""What the demo does to the shop: who asks for what, and what goes wrong meanwhile."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import orjson

from asyncsdk.dev import Fault, ReceivedRequest
from asyncsdk.examples import aiohttp_shop

# Where each lives, and which version of the shop's app they have.
CUSTOMERS: Mapping[str, tuple[str, str]] = {
    "ada.lovelace": ("GB", "2.1"),
    "alan.turing": ("GB", "1.9"),
    "barbara.liskov": ("US", "2.1"),
    "donald.knuth": ("US", "1.9"),
    "edsger.dijkstra": ("NL", "1.9"),
    "grace.hopper": ("US", "2.0"),
    "katherine.johnson": ("US", "2.1"),
    "margaret.hamilton": ("US", "1.9"),
}
REGULARS = ("ada.lovelace", "grace.hopper")
HURRIED = "grace.hopper"
# Amplitude wants ids of five characters.
SHORT_ID = "bob"
STAFF = "mary.jackson"


@attrs.frozen
class Visit:
    """One request to the shop.

    Attributes:
        user: Whose; None for a kiosk.
        body: JSON to send; None sends none.
        events: How many events the shop makes of it.
        looks: What the shop looks up for it: gates, configs, experiments and layers.
    """

    method: str
    path: str
    user: str | None
    body: dict[str, Any] | None = None
    events: int = 1
    looks: Sequence[str] = ()

    @property
    def headers(self) -> dict[str, str]:
        """What the shop is told of the user."""
        if self.user is None:
            return {}
        country, version = CUSTOMERS.get(self.user, ("US", "2.1"))
        at = "shop.example" if self.user == STAFF else "example.com"
        told = {"X-User": self.user, "X-Email": f"{self.user}@{at}", "X-Country": country, "X-App-Version": version}
        return {**told, "Cookie": f"visitor=visitor-of-{self.user}"}


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
        rules: Makes the ruleset that Statsig has from now on; None leaves the one it has.
        flush: Whether it ends when every event has its fate; else they are still queued when the next begins.
    """

    title: str
    visits: Sequence[Visit]
    troubles: Sequence[Trouble] = ()
    rules: Callable[[], Mapping[str, Any]] | None = None
    flush: bool = True


def looking(user: str) -> list[Visit]:
    """Look around, on the site and in the app."""
    return [
        Visit("GET", "/", user, looks=["homepage"]),
        Visit("GET", "/products/teapot", user, looks=["prices", "button"]),
        Visit("GET", "/products/lamp", user, looks=["prices", "button"]),
        Visit("GET", "/app/basket", user, looks=["new_basket"]),
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
    order = {"sku": "teapot", "card": "4111 1111 1111 1111"}
    return [
        Visit("POST", "/cart", user, {"sku": "teapot"}, looks=["prices", "express_checkout"]),
        Visit("POST", "/orders", user, order, events=2, looks=["prices", "free_shipping"]),
    ]


def regretting(user: str) -> list[Visit]:
    """Send it back."""
    return [Visit("POST", "/refunds", user, {"sku": "teapot"}, looks=["prices"])]


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


CONSENT = Visit("POST", "/consents", "ada.lovelace", {"purpose": "newsletter", "email": "ada.lovelace@example.com"})
WHY = Visit("GET", "/why/sale?user=donald.knuth", STAFF, events=0, looks=["staff_tools"])


def sale_for_all() -> Mapping[str, Any]:
    """Open the sale, which was for regular customers, to everybody: another version of the shop's ruleset."""
    ruleset: dict[str, Any] = orjson.loads(aiohttp_shop.RULESET.read_bytes())
    sale = ruleset["feature_gates"]["sale"]
    sale["rules"][1]["passPercentage"], sale["version"] = 100, 2
    return ruleset


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
    Phase(
        "rules fail twice (503), then change",
        [WHY, *everybody(looking)],
        [Trouble("statsig-rules", Fault(503), times=2)],
        rules=sale_for_all,
    ),
    Phase("the shop closes with events queued", everybody(buying, regretting), flush=False),
)
