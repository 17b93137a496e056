"""The demo's script: which requests the shop gets, and which vendors fail meanwhile."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import orjson

from asyncsdk.dev import Fault, ReceivedRequest
from asyncsdk.examples import aiohttp_shop

# Each customer's country, and version of the shop's app.
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
# The members of the id list `regulars`.
REGULARS = ("ada.lovelace", "grace.hopper")
THROTTLED_USER = "grace.hopper"
# Amplitude rejects ids of fewer than five characters.
SHORT_ID = "bob"
STAFF = "mary.jackson"


@attrs.frozen
class Visit:
    """One request to the shop.

    Attributes:
        method: HTTP method.
        path: Path and query.
        user: Id of the customer; None for a kiosk.
        body: JSON to send; None sends none.
        events: Number of events that the shop tracks for it.
        lookups: Names that the shop looks up for it: gates, configs, experiments and layers.
    """

    method: str
    path: str
    user: str | None
    body: dict[str, Any] | None = None
    events: int = 1
    lookups: Sequence[str] = ()

    @property
    def headers(self) -> dict[str, str]:
        """Headers that identify the customer."""
        if self.user is None:
            return {}
        country, version = CUSTOMERS.get(self.user, ("US", "2.1"))
        host = "shop.example" if self.user == STAFF else "example.com"
        return {
            "X-User": self.user,
            "X-Email": f"{self.user}@{host}",
            "X-Country": country,
            "X-App-Version": version,
            "Cookie": f"visitor=visitor-of-{self.user}",
        }


@attrs.frozen
class ScheduledFault:
    """A fault of a vendor.

    Attributes:
        vendor: The vendor, as the dev server names it.
        fault: What happens to a request.
        times: Number of requests that it applies to.
    """

    vendor: str
    fault: Fault
    times: int = 1


@attrs.frozen
class Phase:
    """One part of the demo.

    Attributes:
        title: What happens in it, in at most 35 characters.
        visits: Requests to the shop, sent a few at a time.
        faults: Faults that are scheduled when it begins.
        rules: Returns the ruleset that Statsig serves from now on; None keeps the current one.
        flush: Whether to flush the client at the end; otherwise events are still queued when the next phase begins.
    """

    title: str
    visits: Sequence[Visit]
    faults: Sequence[ScheduledFault] = ()
    rules: Callable[[], Mapping[str, Any]] | None = None
    flush: bool = True


# --- what a customer does: the visits of one user -----------------------------------------------------------------


def browse(user: str) -> list[Visit]:
    """Browse the site and the app."""
    return [
        Visit("GET", "/", user, lookups=["homepage"]),
        Visit("GET", "/products/teapot", user, lookups=["prices", "button"]),
        Visit("GET", "/products/lamp", user, lookups=["prices", "button"]),
        Visit("GET", "/app/basket", user, lookups=["new_basket"]),
        Visit("POST", "/visits", user, {"campaign": "autumn"}),
    ]


def sign_up(user: str) -> list[Visit]:
    """Sign up, then join a company's team."""
    name = user.partition(".")[0].title()
    return [
        Visit("POST", "/signup", user, {"name": name, "email": f"{user}@example.com"}, events=2),
        Visit("POST", "/team", user, {"company": f"{name} & Co", "plan": "pro"}),
    ]


def buy(user: str) -> list[Visit]:
    """Buy a teapot."""
    order = {"sku": "teapot", "card": "4111 1111 1111 1111"}
    return [
        Visit("POST", "/cart", user, {"sku": "teapot"}, lookups=["prices", "express_checkout"]),
        Visit("POST", "/orders", user, order, events=2, lookups=["prices", "free_shipping"]),
    ]


def return_order(user: str) -> list[Visit]:
    """Return the teapot."""
    return [Visit("POST", "/refunds", user, {"sku": "teapot"}, lookups=["prices"])]


def buy_at_kiosk(user: str) -> list[Visit]:
    """Buy something at a kiosk."""
    return [Visit("POST", "/kiosk", None, kiosk_event(user, price=19.95))]


def kiosk_event(user: str, price: object) -> dict[str, Any]:
    """Return an event as a kiosk sends it, in Amplitude's format."""
    return {
        "event_type": "Kiosk Sale",
        "user_id": user,
        "price": price,
        "event_properties": {"store": "Delft", "card": "5500 0000 0000 0004"},
    }


def all_customers(*journeys: Callable[[str], list[Visit]]) -> list[Visit]:
    """Interleave these journeys of all customers: the first visit of each, then the second of each, and so on."""
    each = [[visit for journey in journeys for visit in journey(user)] for user in CUSTOMERS]
    return [visit for step in zip(*each, strict=True) for visit in step]


# The report quotes the shop's answers to these two.
CONSENT = Visit("POST", "/consents", "ada.lovelace", {"purpose": "newsletter", "email": "ada.lovelace@example.com"})
EXPLAIN_SALE = Visit("GET", "/why/sale?user=donald.knuth", STAFF, events=0, lookups=["staff_tools"])


# --- what goes wrong ----------------------------------------------------------------------------------------------


def ruleset_with_open_sale() -> Mapping[str, Any]:
    """Return the shop's ruleset with the gate `sale` open to all customers, not only to regulars."""
    ruleset: dict[str, Any] = orjson.loads(aiohttp_shop.RULESET.read_bytes())
    sale = ruleset["feature_gates"]["sale"]
    sale["rules"][1]["passPercentage"], sale["version"] = 100, 2
    return ruleset


def has_user(user: str) -> Callable[[ReceivedRequest], bool]:
    """Return a test for requests to Amplitude with an event of this user."""
    return lambda request: any(event.get("user_id") == user for event in request.json["events"])


def throttle(user: str) -> Fault:
    """Return Amplitude's response when one user sends too much; a short `Retry-After` keeps the demo short."""
    body = {
        "code": 429,
        "error": "Too many requests for some devices and users",
        "eps_threshold": 10,
        "throttled_users": {user: 31},
        "throttled_devices": {},
        "throttled_events": [],
    }
    return Fault(429, body=body, retry_after=1, when=has_user(user))


# The tests check the totals of these phases: 363 events and 65 exposures.
PHASES: Sequence[Phase] = (
    Phase("all vendors work", all_customers(sign_up, browse)),
    Phase(
        "RudderStack answers 503 three times",
        [CONSENT, *all_customers(browse, buy)],
        [ScheduledFault("rudderstack", Fault(503), times=3)],
    ),
    Phase(
        "Amplitude throttles one user (429)",
        all_customers(browse, buy, return_order),
        [ScheduledFault("amplitude", throttle(THROTTLED_USER))],
    ),
    Phase(
        "two vendors' replies are lost",
        all_customers(browse, buy_at_kiosk),
        [ScheduledFault("rudderstack", Fault.lost_reply()), ScheduledFault("amplitude", Fault.lost_reply())],
    ),
    Phase(
        "Amplitude rejects two events",
        # One has a user id that is too short, the other a price that is not a number.
        [
            *browse(SHORT_ID)[:1],
            Visit("POST", "/kiosk", None, kiosk_event("alan.turing", price="free")),
            *all_customers(browse),
        ],
    ),
    Phase(
        "rules fail twice (503), then change",
        [EXPLAIN_SALE, *all_customers(browse)],
        [ScheduledFault("statsig-rules", Fault(503), times=2)],
        rules=ruleset_with_open_sale,
    ),
    Phase("the shop closes with events queued", all_customers(buy, return_order), flush=False),
)
