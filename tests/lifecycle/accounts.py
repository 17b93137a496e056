"""What the client's log claims, and what the vendors have: both must agree."""

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
"""How many events met a fate at a destination."""


def claimed(log: str, what: str = "closed in") -> Claims:
    """Add up what the reports of all processes say."""
    return sum((_read(line) for line in log.splitlines() if what in line), start=Counter())


def _read(line: str) -> Claims:
    claims: Claims = Counter()
    for destination, counts in _PART.findall(line):
        for word, count in _COUNT.findall(counts):
            claims[destination, word] += int(count.replace(",", ""))
    return claims


def arrived(vendors: DevServer) -> Claims:
    """Count what the vendors have; there are no copies."""
    found: Claims = Counter()
    for destination, vendor in VENDORS.items():
        assert not vendors.total(vendor, "duplicate")
        for event in vendors.accepted(vendor):
            found[EXPOSURES if event.kind == "gate_exposure" else destination, "delivered"] += 1
    return found


def assert_all_arrived(vendors: DevServer, sold: Sequence[Sale]) -> None:
    """Compare what the shop sold with what the vendors have: all of it, once, and the exposures too."""
    for vendor in ("rudderstack", "amplitude"):
        assert Counter(event.id for event in vendors.accepted(vendor)) == Counter(sale.id for sale in sold)
    for kind in ("Bought", "gate_exposure"):
        there = [event.user for event in vendors.accepted("statsig") if kind in (event.name, event.kind)]
        assert Counter(there) == Counter(sale.user for sale in sold)


def assert_true(claims: Claims, vendors: DevServer) -> None:
    """Compare what the log says that was delivered with what the vendors have."""
    assert claims
    assert Counter({key: count for key, count in claims.items() if key[1] == "delivered"}) == arrived(vendors)
