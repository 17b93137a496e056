"""What goes wrong with Postgres, as `EngineError`: a few words, without addresses and passwords."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from asyncsdk._model.engines import EngineError
from asyncsdk.errors import AsyncSDKError

logger = logging.getLogger("asyncsdk.engine")


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors of asyncpg, and of the network, into `EngineError`, without addresses and passwords."""
    from asyncpg import exceptions  # noqa: PLC0415 -- an extra

    refusals = (
        exceptions.InvalidAuthorizationSpecificationError,
        exceptions.InvalidCatalogNameError,
        exceptions.InsufficientPrivilegeError,
        exceptions.UndefinedTableError,
        exceptions.UndefinedColumnError,
        exceptions.ClientConfigurationError,
    )
    try:
        yield
    except TimeoutError:
        raise EngineError("timeout") from None
    except refusals as error:
        missing = ": run `asyncsdk relay migrate`" if isinstance(error, exceptions.UndefinedTableError) else ""
        raise EngineError(f"{_first_words(error)}{missing}", refused=True) from None
    except exceptions.PostgresError as error:
        raise EngineError(_first_words(error)) from None
    except (exceptions.InterfaceError, exceptions.InternalClientError, OSError) as error:
        refused = isinstance(error, ConnectionRefusedError) or "111" in str(error)
        raise EngineError("connection refused" if refused else "connection lost") from None
    except (EngineError, AsyncSDKError):
        raise
    except Exception as error:
        # No reason to lose events: uvloop, for one, raises RuntimeError for a transport that was just reset.
        logger.debug("engine: an unexpected error", exc_info=True)
        raise EngineError(f"unexpected {type(error).__name__}") from None


def _first_words(error: Exception) -> str:
    return str(error).partition("\n")[0][:120] or type(error).__name__
