"""What the log says of failures in a row."""

import logging
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._failures import LOG_INTERVAL, FailureStreak

Steps = list[tuple[bool, bool, float]]


class Log(logging.Handler):
    """Keeps the lines, and when they were logged."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.lines = 0.0, list[tuple[float, int, str]]()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((self.now, record.levelno, record.getMessage()))

    def streak(self) -> FailureStreak:
        logger = logging.Logger("asyncsdk.test")  # noqa: LOG001 -- one that no other test shares
        logger.addHandler(self)
        return FailureStreak("vendor", logger, logging.WARNING, lambda: self.now)

    def visible(self) -> list[str]:
        return [line for _, level, line in self.lines if level >= logging.WARNING]


def test_a_failure_that_its_first_retry_heals_is_for_debugging_only() -> None:
    log = Log()
    streak = log.streak()
    streak.record_failure("status 503")
    streak.record_success()

    assert [level for _, level, _ in log.lines] == [logging.DEBUG, logging.DEBUG]


def test_a_longer_one_is_one_warning_and_one_recovery() -> None:
    log = Log()
    streak = log.streak()
    for _ in range(5):
        streak.record_failure("status 503", "retrying")
    streak.record_success()

    assert log.visible() == ["vendor: status 503; retrying", "vendor: recovered after 5 failures"]


def test_outages_in_a_row_are_logged_once_a_minute_with_their_number() -> None:
    log = Log()
    streak = log.streak()
    for second in range(62):
        log.now = float(second)
        streak.record_failure("status 503", "retrying")
        streak.record_failure("status 503", "retrying")
        streak.record_success()

    assert log.visible() == [
        "vendor: status 503; retrying",
        "vendor: recovered after 2 failures",
        "vendor: status 503; retrying (120 failures in the last 59 s)",
        "vendor: recovered after 2 failures",
    ]


def test_a_retry_that_is_far_away_is_not_waited_for() -> None:
    log = Log()
    log.streak().record_failure("status 429", retry_in=LOG_INTERVAL)

    assert len(log.visible()) == 1


def test_what_only_a_person_can_end_is_an_error_after_the_warning() -> None:
    log = Log()
    streak = log.streak()
    for refused in (False, False, True, True):
        streak.record_failure("status 401", refused=refused)

    assert [level for _, level, _ in log.lines if level > logging.DEBUG] == [logging.WARNING, logging.ERROR]


steps = st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from([0.0, 0.5, 7.0, 59.0, 61.0])), max_size=80)


@given(steps)
def test_whatever_happens_each_level_is_logged_at_most_once_a_minute_and_ends_once(taken: Steps) -> None:
    log = Log()
    streak = log.streak()
    for fails, refused, seconds in taken:
        log.now += seconds
        if fails:
            streak.record_failure("status 503", refused=refused)
        else:
            streak.record_success()

    failures = [line for line in log.lines if line[1] >= logging.WARNING and "recovered" not in line[2]]
    for level in (logging.WARNING, logging.ERROR):
        times = [at for at, of, _ in failures if of == level]
        assert all(later - earlier >= LOG_INTERVAL for earlier, later in pairwise(times))
    assert sum("recovered" in line for line in log.visible()) <= len(failures)


@given(steps)
def test_no_outage_of_more_than_a_minute_is_silent(taken: Steps) -> None:
    log = Log()
    streak = log.streak()
    for fails, refused, seconds in taken:
        log.now += seconds
        if fails:
            streak.record_failure("status 503", refused=refused)
        else:
            streak.record_success()
    streak.record_success()
    log.lines.clear()
    for _ in range(4):
        log.now += 30
        streak.record_failure("status 503")

    assert len(log.visible()) == 1
