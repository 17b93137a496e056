"""Threads that work for one event loop, and whether the running task is being cancelled."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar
from weakref import WeakSet

T = TypeVar("T")


def is_being_cancelled() -> bool:
    """Return whether the running task is being cancelled; foreign code may raise `CancelledError` without that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def is_loop_running() -> bool:
    """Return whether the caller runs on an event loop; a coroutine that is closed after its loop does not."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class LoopBound(Protocol):
    """What has to be released at once if its event loop is closed before it is."""

    loop: asyncio.AbstractEventLoop | None

    def abandon(self) -> None:
        """Release it; its loop is closed."""


_LOOP_BOUND: "WeakSet[LoopBound]" = WeakSet()


def release_with_loop(owner: LoopBound) -> None:
    """Have `owner.abandon` called if its loop is closed while `owner` exists."""
    _LOOP_BOUND.add(owner)


def release_all_of(loop: asyncio.AbstractEventLoop) -> None:
    """Release what was bound to a loop that has been closed."""
    for owner in [owner for owner in _LOOP_BOUND if owner.loop is loop]:
        owner.abandon()


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a daemon thread that ends with it, and return its result.

    If no thread can be started, `work` runs here, and blocks the loop: from Python 3.12 on, that is so when `atexit`
    functions run, and a client that is closed there still has a name to look up.

    Not in the loop's default executor: `asyncio.run` joins its threads at exit, so that a name server that does not
    answer would keep the process from ending.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type] # there is a result when there is no error
        else:
            future.set_exception(error)

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = work()
        except Exception as raised:  # noqa: BLE001 -- raised in the awaiting task
            error = raised
        with suppress(RuntimeError):  # the loop has been closed: no task waits any more
            loop.call_soon_threadsafe(settle, result, error)

    try:
        threading.Thread(target=run, name="asyncsdk-work", daemon=True).start()
    except RuntimeError:
        return work()
    return await future


class Worker:
    """A thread that runs one piece of work after another for one loop.

    It starts with the first piece, and ends with `stop`, or when its loop is closed.
    """

    def __init__(
        self, in_between: Callable[[], None], at_end: Callable[[], None], *, check_interval: float = 5.0
    ) -> None:
        """Prepare; the thread starts with the first piece of work.

        Args:
            in_between: Called in the thread after each piece, once its result is on the way to the loop.
            at_end: Called in the thread before it ends, to close what belongs to it.
            check_interval: How often an idle thread checks whether its loop has been closed without `stop`, in seconds.
        """
        self._in_between = in_between
        self._at_end = at_end
        self._check_interval = check_interval
        self._todo: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], T], done: Callable[[T], object], failed: Callable[[Exception], object]) -> None:
        """Run `work` in the thread, then call `done` (its result) or `failed` (its error) on the running loop."""
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(loop,), name="asyncsdk-spool", daemon=True)
            self._thread.start()

        def run() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 -- passed to `failed` on the loop
                loop.call_soon_threadsafe(failed, error)
            else:
                loop.call_soon_threadsafe(done, result)
            with suppress(Exception):  # maintenance: it is tried again after the next piece
                self._in_between()

        self._todo.put(run)

    async def stop(self) -> None:
        """End the thread once it has finished all submitted work."""
        if self._thread is not None:
            loop, ended = asyncio.get_running_loop(), asyncio.Event()
            self._todo.put(lambda: self._end(loop, ended))
            await ended.wait()
            self._thread.join()

    def _end(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
        self._todo.put(None)
        self._at_end()
        loop.call_soon_threadsafe(ended.set)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            try:
                job = self._todo.get(timeout=self._check_interval)
                if job is None:
                    return
                job()
            except Empty:
                if loop.is_closed():
                    break
            except RuntimeError:  # the loop has been closed: no result can be delivered, and no work will follow
                break
        self._at_end()
