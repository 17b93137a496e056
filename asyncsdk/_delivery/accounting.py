"""Counts of events by outcome. They add up: accepted = delivered + rejected + ... + pending."""

from collections import Counter

import attrs

from asyncsdk._model.receipts import Delivery
from asyncsdk._model.reports import DestinationReport


@attrs.define(eq=False, repr=False)
class Account:
    """Counts of one destination since the client was created.

    Attributes:
        accepted: Everything that was ever accepted.
        delivered: Accepted by the vendor.
        enqueued: Stored by an engine, for a relay to deliver.
        spooled: Left on disk at close.
        abandoned: Left in memory at close.
        rejected: By reason.
        dropped: By reason.
        skipped: By reason.
    """

    # Each field but `accepted` is named like the status that it counts: `settle` looks it up by name.
    accepted: int = 0
    delivered: int = 0
    enqueued: int = 0
    spooled: int = 0
    abandoned: int = 0
    rejected: Counter[str] = attrs.field(factory=Counter)
    dropped: Counter[str] = attrs.field(factory=Counter)
    skipped: Counter[str] = attrs.field(factory=Counter)

    def settle(self, delivery: Delivery, count: int = 1) -> None:
        """Count `count` events whose outcome is `delivery`."""
        if not count:
            return
        counts = getattr(self, delivery.status)
        if isinstance(counts, Counter):
            counts[delivery.reason] += count
        else:
            setattr(self, delivery.status, counts + count)

    def report(self, exposures: "Account | None" = None) -> DestinationReport:
        """Return the counts so far; `pending` is the rest of the accepted events.

        Args:
            exposures: The counts of exposures, reported beside those of events; None leaves them out.
        """
        final = self.delivered + self.enqueued + self.spooled + self.abandoned
        final += self.rejected.total() + self.dropped.total() + self.skipped.total()
        return DestinationReport(
            accepted=self.accepted,
            delivered=self.delivered,
            rejected=dict(self.rejected),
            dropped=dict(self.dropped),
            skipped=dict(self.skipped),
            spooled=self.spooled,
            abandoned=self.abandoned,
            pending=self.accepted - final,
            enqueued=self.enqueued,
            exposures=None if exposures is None else exposures.report(),
        )
