"""Retries without the waits between them."""

import inspect
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar, cast

from asyncsdk._retry import SCALE

Test = TypeVar("Test", bound=Callable[..., Any])

# Not 0: a client would send to a server that keeps failing as fast as it can.
_THOUSANDTH = 0.001


def no_backoff() -> "NoBackoff":
    """Let all clients of this process retry after a thousandth of the usual wait, `Retry-After` included.

    For tests in which a dev server fails: `with no_backoff():`, or `@no_backoff()` on a test, async or not. Waits that
    began earlier do not get shorter.
    """
    return NoBackoff()


class NoBackoff:
    """The context manager and decorator that `no_backoff()` returns."""

    _before: float

    def __enter__(self) -> None:
        self._before, SCALE[0] = SCALE[0], _THOUSANDTH

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        SCALE[0] = self._before

    def __call__(self, test: Test) -> Test:
        """Decorate a test."""
        if inspect.iscoroutinefunction(test):

            @wraps(test)
            async def run_async(*args: Any, **keywords: Any) -> Any:
                with self:
                    return await test(*args, **keywords)

            return cast("Test", run_async)

        @wraps(test)
        def run(*args: Any, **keywords: Any) -> Any:
            with self:
                return test(*args, **keywords)

        return cast("Test", run)
