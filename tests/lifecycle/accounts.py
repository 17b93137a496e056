"""Compare the counts in the client's log with what the vendors received."""

import re
from collections import Counter
from collections.abc import Sequence

from asyncsdk.dev import DevServer
from lifecycle.servers import Sale

VENDORS = {"RudderStack": "rudderstack", "Amplitude": "amplitude", "Statsig": "statsig"}
EXPOSURES = "of exposures"

_PART = re.compile(rf"({'|'.join(VENDORS)}|{EXPOSURES}):? (accepted [^;\n]*)")
_COUNT = re.compile(r"([a-z]+) ([\d,]+)")

Claims = Counter[tuple[str, str]]
"""Number of events by destination and outcome."""


def claimed(log: str, text: str = "closed in") -> Claims:
    """Add up the counts of every process, from the log lines that contain `text`."""
    return sum((_read(line) for line in log.splitlines() if text in line), start=Counter())


def _read(line: str) -> Claims:
    claims: Claims = Counter()
    for destination, counts in _PART.findall(line):
        for word, count in _COUNT.findall(counts):
            claims[destination, word] += int(count.replace(",", ""))
    return claims


def arrived(vendors: DevServer) -> Claims:
    """Count the events that the vendors accepted, and assert that there are no duplicates."""
    found: Claims = Counter()
    for destination, vendor in VENDORS.items():
        assert not vendors.total(vendor, "duplicate")
        for event in vendors.accepted(vendor):
            found[EXPOSURES if event.kind == "gate_exposure" else destination, "delivered"] += 1
    return found


def assert_all_arrived(vendors: DevServer, sold: Sequence[Sale]) -> None:
    """Assert that the vendors received the event of every sale, and its exposure, exactly once."""
    for vendor in ("rudderstack", "amplitude"):
        assert Counter(event.id for event in vendors.accepted(vendor)) == Counter(sale.id for sale in sold)
    for kind in ("Bought", "gate_exposure"):
        users = [event.user for event in vendors.accepted("statsig") if kind in (event.name, event.kind)]
        assert Counter(users) == Counter(sale.user for sale in sold)


def assert_claims_hold(claims: Claims, vendors: DevServer) -> None:
    """Assert that the log's delivered counts are what the vendors received."""
    assert claims
    assert Counter({key: count for key, count in claims.items() if key[1] == "delivered"}) == arrived(vendors)
