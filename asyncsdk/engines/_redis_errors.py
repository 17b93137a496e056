"""What goes wrong with Redis, as `EngineError`: a few words, without addresses and keys."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from asyncsdk._model.engines import EngineError
from asyncsdk.errors import AsyncSDKError

logger = logging.getLogger("asyncsdk.engine")


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors of redis-py, and of the network, into `EngineError`, without addresses and keys."""
    from redis import exceptions  # noqa: PLC0415 -- an extra

    refusals = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError)
    try:
        yield
    except (exceptions.TimeoutError, TimeoutError):
        raise EngineError("timeout") from None
    except refusals as error:
        raise EngineError(_first_words(error), refused=True) from None
    except (exceptions.BusyLoadingError, exceptions.ResponseError) as error:
        raise EngineError(_first_words(error)) from None
    except (exceptions.RedisError, OSError) as error:
        refused = "111" in str(error) or isinstance(error, ConnectionRefusedError)
        raise EngineError("connection refused" if refused else "connection lost") from None
    except (EngineError, AsyncSDKError):
        raise
    except Exception as error:
        # No reason to lose events: on a transport that was just reset, redis-py raises AttributeError or RuntimeError.
        logger.debug("engine: an unexpected error", exc_info=True)
        raise EngineError(f"unexpected {type(error).__name__}") from None


def _first_words(error: Exception) -> str:
    return str(error).partition("\n")[0][:120] or type(error).__name__
