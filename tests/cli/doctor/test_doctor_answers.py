"""What an answer means, in plain words."""

import pytest

from asyncsdk.cli.doctor.answers import judge, judge_clock, skew
from asyncsdk.cli.doctor.findings import Finding, exit_code, summary
from asyncsdk.cli.doctor.rules import check_rules
from asyncsdk.vendors._base import Response

HTML = {"content-type": "text/html"}
CASES = [
    (Response(200, body=b"OK"), "ok", "reached in 12 ms, the key is accepted"),
    (Response(400, body=b"empty batch payload"), "ok", "reached in 12 ms, the key is accepted"),
    (Response(400, body=b'{"error":"Invalid API key: x"}'), "failure", "the key is refused (status 400)"),
    (Response(401), "failure", "the key is refused (status 401)"),
    (Response(403), "failure", "the key is refused (status 403)"),
    (Response(404), "failure", "the address does not take events (status 404)"),
    (Response(405), "failure", "the address does not take events (status 405)"),
    (Response(429), "failure", "the vendor fails or is busy (status 429)"),
    (Response(503), "failure", "the vendor fails or is busy (status 503)"),
    (Response(400, HTML, b"<p>"), "failure", "an HTML page answered: without text"),
    (Response(302, {"location": "https://a:b@x.test/y"}), "failure", "redirected to x.test (status 302)"),
    (Response(302), "failure", "redirected to another page (status 302)"),
    (Response(0), "failure", "not reached: no answer"),
    (
        Response(0, error="certificate", detail="certificate has expired"),
        "failure",
        "not reached: certificate (certificate has expired)",
    ),
    (Response(0, error="proxy: status 407"), "failure", "not reached: proxy: status 407"),
]


@pytest.mark.parametrize(("response", "state", "text"), CASES)
def test_an_answer_is_judged(response: Response, state: str, text: str) -> None:
    finding = judge("RudderStack", response, 12.3)

    assert (finding.state, finding.text) == (state, text)
    assert bool(finding.advice) == (state == "failure")


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Nov 2026 99:00:00 GMT"])
def test_an_answer_without_a_date_has_no_skew(date: str) -> None:
    assert skew(Response(200, {"date": date}), 0.0) is None


def test_a_skew_is_the_lead_of_this_machine() -> None:
    assert skew(Response(200, {"date": "Thu, 01 Jan 1970 00:01:00 GMT"}), 70.0) == 10.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5.0, "agrees with x.test"), (5.1, "5 s ahead of x.test"), (-60.1, "60 s behind x.test")],
)
def test_a_clock_is_judged(seconds: float, text: str) -> None:
    assert judge_clock("x.test", seconds).text == text


@pytest.mark.parametrize(
    ("age", "text"),
    [(0, "now"), (1, "1 second ago"), (59, "59 seconds ago"), (60, "1 minute ago"), (172_800, "2 days ago")],
)
def test_rules_have_an_age(age: int, text: str) -> None:
    body = b'{"has_updates":true,"time":1000000,"feature_gates":{"a":{}},"dynamic_configs":{},"layer_configs":{}}'

    assert check_rules("rules", Response(200, body=body), 1000 + age).text.endswith(f"changed {text}")


def test_rules_without_a_time_have_no_age() -> None:
    body = b'{"has_updates":true,"feature_gates":{"a":{}},"dynamic_configs":{},"layer_configs":{}}'

    assert check_rules("rules", Response(200, body=body), 0.0).text.endswith("0.1 kB")


def test_failures_and_warnings_are_counted() -> None:
    states = [Finding("failure", "a", ""), Finding("failure", "b", ""), Finding("warning", "c", "")]

    assert summary(states) == "3 checks: 2 failures, 1 warning"
    assert [exit_code(states), exit_code(states[2:])] == [1, 0]
