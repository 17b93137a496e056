"""How HTTP statuses are judged if the body adds nothing, and how times are formatted."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk.vendors._answers import first_words, judge_by_status, retry_after
from asyncsdk.vendors._base import Request, Response, Verdict
from asyncsdk.vendors._times import iso
from asyncsdk.vendors.statsig.ruleset import read_response


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success_delivers_everything(status: int) -> None:
    assert judge_by_status(Response(status), 3) == Verdict()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304, 401, 404])
def test_a_status_that_a_person_must_correct_halts_the_destination(status: int) -> None:
    assert judge_by_status(Response(status), 3) == Verdict(halt=True, reason=f"status {status}")


@pytest.mark.parametrize("status", [100, 103, 408, 425, 429, 499, 500, 502, 503, 504, 507, 520, 522, 524, 599])
def test_a_failing_vendor_is_retried(status: int) -> None:
    assert judge_by_status(Response(status), 3) == Verdict(retry=range(3), reason=f"status {status}")


@pytest.mark.parametrize("status", [402, 405, 406, 409, 410, 414, 415, 422, 431, 451, 501, 505])
def test_a_permanent_status_is_rejected(status: int) -> None:
    reason = f"status {status}"

    assert judge_by_status(Response(status), 2) == Verdict(reject={0: reason, 1: reason}, reason=reason)


def test_a_bad_request_and_a_large_one_are_halved() -> None:
    assert judge_by_status(Response(400), 3) == Verdict(halve=True, reason="status 400")
    assert judge_by_status(Response(413), 3) == Verdict(halve=True, too_large=True, reason="status 413")


def test_a_403_is_retried_before_it_is_halved() -> None:
    assert judge_by_status(Response(403), 3) == Verdict(halve=True, halve_after=3, reason="status 403")


@pytest.mark.parametrize(("error", "reason"), [("timeout", "timeout"), ("connection", "connection"), ("", "no answer")])
def test_a_batch_without_a_response_is_retried(error: str, reason: str) -> None:
    assert judge_by_status(Response(0, error=error), 3) == Verdict(retry=range(3), reason=reason)


@pytest.mark.parametrize("error", ["certificate", "request"])
def test_an_error_that_no_retry_can_fix_halts_the_destination(error: str) -> None:
    assert judge_by_status(Response(0, error=error), 3) == Verdict(halt=True, reason=error)


@pytest.mark.parametrize(
    ("location", "detail"),
    [
        ("https://other.example/path?key=secret", "to https://other.example"),
        ("//other.example/path", "to the same scheme://other.example"),
        ("/elsewhere", ""),
        ("https://[broken/", ""),
    ],
)
def test_a_redirect_is_shown_without_its_path(location: str, detail: str) -> None:
    assert judge_by_status(Response(302, {"location": location}), 3).detail == detail


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "86400"}, 3600.0),
        ({"retry-after": "9" * 400}, 3600.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Fri, 20 Nov 2026 20:16:41 GMT"}, None),
        ({"retry-after": "Fri, 20 Nov 2026 20:16:41 GMT", "date": "Fri, 20 Nov 2026 20:16:11 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 20:16:41 -0000", "date": "Fri, 20 Nov 2026 20:16:11 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 20:16:01 GMT", "date": "Fri, 20 Nov 2026 20:16:11 GMT"}, 0.0),
        ({"retry-after": "Sat, 20 Nov 2027 20:16:11 GMT", "date": "Fri, 20 Nov 2026 20:16:11 GMT"}, 3600.0),
        ({"retry-after": "Mon, 01 Jan 99999999999 00:00:00 GMT", "date": "Fri, 20 Nov 2026 20:16:11 GMT"}, None),
        ({"retry-after": "Fri, 20 Nov 2026 20:16:11 GMT", "date": "yesterday"}, None),
    ],
)
def test_retry_after_is_parsed_in_both_forms_and_capped(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_is_the_minimum_backoff() -> None:
    assert judge_by_status(Response(503, {"retry-after": "7"}), 1).retry_after == 7.0


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_times_are_written_in_utc_with_milliseconds(time_ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)

    assert iso(time_ms) == moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


KEY = "secret-0a1b2c3d4e"
ASKED = Request(f"https://cdn.example.com/v2/{KEY}.json?sinceTime=1", "/v2", {"Authorization": "Basic d3JpdGUta2V5Og=="}, b'{"email":"ada@x.nl"}')  # fmt: skip


@pytest.mark.parametrize(
    "page",
    [
        f"Cannot GET /v2/{KEY}.json",
        f"No such key: {KEY}.",
        f"unknown [{KEY}]",
        f"`{KEY}`!",
        f"{'x' * 70} {KEY}",
        "write-key is not known",
        "Hello ada@x.nl",
        "Authorization: Basic d3JpdGUta2V5Og==",
    ],
)
def test_what_a_page_repeats_of_a_request_is_not_among_its_words(page: str) -> None:
    words = first_words(f"<html><pre>{page}</pre>".encode(), ASKED)

    assert "..." in words
    assert not any(secret in words for secret in (KEY[:9], "write-key", "ada@", "d3Jp"))


def test_a_key_that_is_cut_off_is_not_among_the_first_words() -> None:
    assert first_words(f"{'x' * 70} {KEY} more".encode()) == f"{'x' * 70}..."
    assert first_words(b"x" * 100) == "..."


def test_a_page_that_repeats_the_address_of_rules_does_not_show_the_key() -> None:
    answer = read_response(Response(200, body=f"<pre>Cannot GET /v2/{KEY}.json</pre>".encode(), host="h"), ASKED)

    assert answer.reason == "an HTML page instead of an answer from h (Cannot GET ...)"
