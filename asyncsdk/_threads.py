"""Work in a thread that ends with it, a thread that works for one loop, and whether a task is being cancelled."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")

# A thread that has nothing to do looks this often whether its loop is closed, in seconds.
_LOOK_EVERY = 5.0


def is_being_cancelled() -> bool:
    """Say whether somebody cancels the running task; other people's code may raise `CancelledError` without that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own, which ends with it.

    The loop's default executor would do, but `asyncio.run` waits for that one's threads at exit, and a name
    server that does not answer would hold the whole process.
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
        except Exception as raised:  # noqa: BLE001 -- carried over to the awaiting task
            error = raised
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="asyncsdk-work", daemon=True).start()
    return await future


class Worker:
    """A thread that does one thing after another, for one loop.

    It starts with the first thing to do, and ends with `stop`, or when its loop is closed.
    """

    def __init__(self, in_between: Callable[[], None], at_end: Callable[[], None]) -> None:
        """Start nothing yet.

        Args:
            in_between: Done in the thread after each thing, when the loop has been told of it: nobody waits for it.
            at_end: Closes what must be closed in the thread itself.
        """
        self._in_between = in_between
        self._at_end = at_end
        self._todo: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], T], done: Callable[[T], object], failed: Callable[[Exception], object]) -> None:
        """Do `work` in the thread, and call `done` or `failed` on the running loop."""
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(loop,), name="asyncsdk-spool", daemon=True)
            self._thread.start()

        def run() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 -- carried over to the loop
                loop.call_soon_threadsafe(failed, error)
            else:
                loop.call_soon_threadsafe(done, result)
            with suppress(Exception):  # nobody waits for it, and the next time it is tried again
                self._in_between()

        self._todo.put(run)

    async def stop(self) -> None:
        """End the thread when it has done all it was given."""
        if self._thread is not None:
            loop, ended = asyncio.get_running_loop(), asyncio.Event()
            self._todo.put(lambda: self._end(loop, ended))
            await ended.wait()
            self._thread.join()  # it has nothing left to do

    def _end(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
        self._todo.put(None)
        self._at_end()
        loop.call_soon_threadsafe(ended.set)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            try:
                job = self._todo.get(timeout=_LOOK_EVERY)
                if job is None:
                    return
                job()
            except Empty:
                if loop.is_closed():
                    break
            except RuntimeError:  # the loop was closed: nobody waits, and nobody will come
                break
        self._at_end()
