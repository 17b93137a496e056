"""A process that compares names for another one, which starts it (see `helpers.py`), over pipes of pickles."""

import gc
import os
import pickle
import sys
from typing import IO

from asyncsdk.cli.diff.tasks import Comparer


def main() -> None:  # pragma: no cover -- tested in a process
    """Compare what comes on standard input, until it ends."""
    gc.disable()  # saves a tenth of the time: the results have no cycles, and the process is short-lived
    # What anything here prints must not get among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        serve(sys.stdin.buffer, answers)
    except OSError:  # the other process has ended
        os._exit(0)  # a flush at exit would fail


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer each list of tasks with a list of results, until there are no more."""
    try:
        packed, circumstances = pickle.load(questions)  # noqa: S301 -- from the process that started this one
        comparer = Comparer.unpack(packed, circumstances)
        while True:
            tasks = pickle.load(questions)  # noqa: S301
            pickle.dump([comparer.compare(task) for task in tasks], answers)
            answers.flush()
    except EOFError:
        pass
