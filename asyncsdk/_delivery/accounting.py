"""The count of fates, so that what was accepted always adds up."""

from collections import Counter

import attrs

from asyncsdk._model.receipts import Delivery
from asyncsdk._model.reports import DestinationReport


@attrs.define(eq=False, repr=False)
class Account:
    """Counts of one destination, since the client was made."""

    accepted: int = 0
    delivered: int = 0
    spooled: int = 0
    abandoned: int = 0
    rejected: Counter[str] = attrs.field(factory=Counter)
    dropped: Counter[str] = attrs.field(factory=Counter)
    skipped: Counter[str] = attrs.field(factory=Counter)

    def settle(self, delivery: Delivery, count: int = 1) -> None:
        """Count events that met `fate`."""
        if not count:
            return
        counts = getattr(self, delivery.status)
        if isinstance(counts, Counter):
            counts[delivery.reason] += count
        else:
            setattr(self, delivery.status, counts + count)

    def report(self, exposures: "Account | None" = None) -> DestinationReport:
        """Give the counts so far; `pending` is what is left of the accepted ones."""
        final = self.delivered + self.spooled + self.abandoned
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
            exposures=None if exposures is None else exposures.report(),
        )
