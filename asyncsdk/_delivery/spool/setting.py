"""What `Client(spool=...)` may be given, and what follows from it."""

import os
from collections.abc import Sequence

import attrs

from asyncsdk._delivery.lane import Lane
from asyncsdk._delivery.spool.spooler import Spooler
from asyncsdk._model.spooling import Spool
from asyncsdk.errors import ConfigurationError
from asyncsdk.stores import SqliteSpool
from asyncsdk.vendors._base import Destination
from asyncsdk.vendors.statsig import Statsig

SpoolLike = str | os.PathLike[str] | Spool | None

# Events that go to a dev server never go anywhere else, nor those of others there.
DEV_SUFFIX = " (dev server)"


def with_message_ids(destinations: Sequence[Destination]) -> tuple[Destination, ...]:
    """Let events carry their ids where the vendor asks for none: a copy can then be told from its original."""
    return tuple(
        attrs.evolve(given, message_ids=True) if isinstance(given, Statsig) else given for given in destinations
    )


def create_spooler(spool: SpoolLike, lanes: Sequence[Lane]) -> Spooler | None:
    """Make what stands between admission and `lanes`; None without a spool.

    Raises:
        ConfigurationError: It is neither a folder nor a spool.
    """
    if spool is None:
        return None
    if isinstance(spool, str | os.PathLike):
        if not os.fspath(spool):
            msg = "`spool` is a folder, and this is an empty name"
            raise ConfigurationError(msg)
        return Spooler(SqliteSpool(spool), lanes)
    if isinstance(spool, type) or not hasattr(spool, "open"):
        msg = f"`spool` is a folder or SqliteSpool(...), not {type(spool).__name__}"
        raise ConfigurationError(msg)
    return Spooler(spool, lanes)
