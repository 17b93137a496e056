"""Share a comparison between processes.

Each helper is a Python process of its own with pipes to this one (`helper.py`). It is not a pool of `multiprocessing`,
whose children run the main module again: a script without `if __name__ == "__main__"` would call the command again.

A helper has a session of its own, so that Ctrl-C reaches only this process, which then ends its helpers.
If this process is killed, a helper ends with its task, at the end of its input.
"""

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from queue import SimpleQueue
from typing import IO, cast

from asyncsdk.cli.diff.model import NameDiff
from asyncsdk.cli.diff.tasks import Circumstances, Comparer, Task

_START = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from asyncsdk.cli.diff.helper import main; main()"
)
_SHARES = 8
"""Each process takes so many shares of the tasks, one after another, so that all end at about the same time."""
Answer = tuple[Task, NameDiff, Sequence[int]]
"""A task, what changes about its name, and the positions of the users for whom it does."""
_Answers = Sequence[tuple[int, Answer]]


def cpus() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compare_in_helpers(
    comparer: Comparer, circumstances: Circumstances, tasks: Mapping[int, Task], jobs: int
) -> Generator[tuple[int, Answer], None, None]:
    """Compare names in other processes.

    Args:
        comparer: The rulesets and the users.
        circumstances: What is the same for both rulesets.
        tasks: The names, by numbers of the caller's.
        jobs: Number of processes.

    Yields:
        What `Comparer.compare` returns for each task, with its number, in any order. The tasks of a process that fails
        are left out.
    """
    count = min(len(tasks), jobs * _SHARES)
    numbers = list(tasks)
    shares: deque[Sequence[int]] = deque(numbers[start::count] for start in range(count))
    setup = b"".join(map(pickle.dumps, (sys.path, (comparer.pack(), circumstances))))
    answers: SimpleQueue[_Answers | None] = SimpleQueue()
    processes = list(_start(min(jobs, count)))
    with ExitStack() as stack:
        for process in processes:
            stack.enter_context(process)  # closes its pipes, and waits for it
        threads = stack.enter_context(ThreadPoolExecutor(max(1, len(processes))))
        try:
            for process in processes:
                threads.submit(_serve, process, setup, tasks, shares, answers)
            for _ in processes:
                while (found := answers.get()) is not None:
                    yield from found
        finally:
            for process in processes:
                process.kill()  # which ends the thread that waits for it


def _start(count: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start processes, as many as the system allows."""
    with suppress(OSError):
        for _ in range(count):
            # `-P`: no module of the working directory is taken for one of Python's before the path is set.
            yield subprocess.Popen(  # noqa: S603 -- this interpreter, and a constant
                [sys.executable, "-P", "-c", _START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )


def _serve(
    process: subprocess.Popen[bytes],
    setup: bytes,
    tasks: Mapping[int, Task],
    shares: deque[Sequence[int]],
    answers: SimpleQueue[_Answers | None],
) -> None:
    """Have a process compare shares while there are any; the last answer is None."""
    source, target = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stdin)
    try:
        target.write(setup)
        while shares:
            numbers = shares.popleft()
            pickle.dump([tasks[number] for number in numbers], target)
            target.flush()
            found = pickle.load(source)  # noqa: S301 -- from the process that this one started
            answers.put([(number, (tasks[number], *one)) for number, one in zip(numbers, found, strict=True)])
    except (OSError, EOFError, IndexError, pickle.UnpicklingError):
        pass  # its tasks are left out; or another thread has taken the last share
    finally:
        answers.put(None)
