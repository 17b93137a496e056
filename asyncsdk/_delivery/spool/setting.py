"""The setting `Client(spool=...)`: what may be passed, and what the client makes of it."""

import os
from collections.abc import Sequence

import attrs

from asyncsdk._model.stores import Spool
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Destination
from asyncsdk.vendors.statsig import Statsig

SpoolLike = str | os.PathLike[str] | Spool | None

# Keeps events for a dev server apart from real ones in the same folder, so that neither is sent to the other's vendor.
DEV_SUFFIX = " (dev server)"


def with_message_ids(destinations: Sequence[Destination]) -> tuple[Destination, ...]:
    """Return the destinations with event ids for Statsig too, which needs none.

    After a crash an event may be sent twice: with its id, the copy can be recognised.
    """
    return tuple(
        attrs.evolve(given, message_ids=True) if isinstance(given, Statsig) else given for given in destinations
    )


def check_spool(spool: SpoolLike) -> Spool | None:
    """Return the spool for what may be passed; None without one. Nothing is opened.

    Raises:
        ConfigurationError: `spool` is neither a folder nor a spool.
    """
    if spool is None:
        return None
    if isinstance(spool, str | os.PathLike):
        if not os.fspath(spool):
            msg = "`spool` must be a folder or SqliteSpool(...), not an empty string"
            raise ConfigurationError(msg)
        from asyncsdk.stores import SqliteSpool  # noqa: PLC0415 -- only a client with a spool needs it

        return SqliteSpool(spool)
    if isinstance(spool, type) or not hasattr(spool, "open"):
        msg = f"`spool` must be a folder or SqliteSpool(...), not {type(spool).__name__}"
        raise ConfigurationError(msg)
    return spool
