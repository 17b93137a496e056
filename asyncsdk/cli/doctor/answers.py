"""What an answer of a vendor says about the key and the address, in plain words. Pure."""

from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from asyncsdk.cli.doctor.findings import Finding
from asyncsdk.vendors._answers import first_words, is_html
from asyncsdk.vendors._base import Request, Response

# Seconds by which a clock may be wrong. Dates of answers have no fractions, and take time to arrive.
MAX_SKEW, TOLERATED_SKEW = 60.0, 5.0

_UNREACHABLE = {
    "name not found": "Check the address for a typing error, and the name server of this machine.",
    "connection refused": "No program listens at that address and port: check them.",
    "no connection in time": "A firewall probably drops the packets: allow outgoing connections to that address.",
    "no route to the host": "Check the network of this machine, and its firewall.",
    "certificate": "If a proxy of your company opens TLS, pass its authority: Client(http=HttpSettings(ca_file=...)).",
    "TLS error": "The address may not speak TLS (http:// instead of https://), or a proxy cuts the connection.",
    "timeout": "The connection works, but no answer came: the vendor is slow, or a firewall holds the answer back.",
}
_PROXY = "Check the proxy's address, user and password, and that it lets this address pass."
_KEY = "Copy the key again from the vendor's console: the right project, source and environment, without quotes."


def judge(check: str, response: Response, milliseconds: float, request: Request | None = None) -> Finding:
    """Return what an answer to a request without events means.

    Args:
        check: What was asked.
        response: The answer.
        milliseconds: How long it took.
        request: The request, of which nothing that an answer repeats is shown.
    """
    text, advice = _fault(response, request) if response.status else _unreachable(response)
    if text:
        return Finding("failure", check, text, advice)
    return Finding("ok", check, f"reached in {milliseconds:.0f} ms, the key is accepted")


def _fault(response: Response, request: Request | None) -> tuple[str, str]:
    """Return what is wrong with an answer, and what to do; two empty texts if nothing is.

    A 400 is the right answer of RudderStack and Amplitude to a request without events, once they have accepted the key.
    """
    status = response.status
    if status == 429 or status >= 500:
        text = f"the vendor fails or is busy (status {status})"
        advice = "Wait: the client keeps events and tries again, for 15 minutes or, with a spool, three days."
    elif 300 <= status < 400:
        to = urlsplit(response.headers.get("location", "")).netloc.rpartition("@")[2]
        text = f"redirected to {to or 'another page'} (status {status})"
        advice = "Redirects are not followed: set the final address, with https://."
    elif status in (401, 403) or b"invalid api key" in response.body.lower():
        text = f"the key is refused (status {status})"
        advice = f"{_KEY} If it is right, a firewall may have answered." if status == 403 else _KEY
    elif is_html(response):
        text = f"an HTML page answered: {first_words(response.body, request) or 'without text'}"
        advice = "Something between this machine and the vendor answered: log in to the network, or allow the address."
    elif status == 400 or status < 300:
        text = advice = ""
    else:
        text = f"the address does not take events (status {status})"
        advice = "Check the address and its path, and that the source is enabled at the vendor."
    return text, advice


def _unreachable(response: Response) -> tuple[str, str]:
    error = response.error or "no answer"
    detail = f" ({response.detail})" if response.detail else ""
    advice = _PROXY if error.startswith("proxy") else _UNREACHABLE.get(error, "Check the network, and try again.")
    return f"not reached: {error}{detail}", advice


def skew(response: Response, now: float) -> float | None:
    """Return how many seconds this machine's clock is ahead of the vendor's; None if the answer has no date.

    Args:
        response: The answer.
        now: The time in the middle of the request, in seconds since 1970.
    """
    try:
        return now - parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def judge_clock(host: str, seconds: float) -> Finding:
    """Return whether the clock of this machine is right.

    Args:
        host: The server that it was compared with.
        seconds: How far it is ahead.
    """
    if abs(seconds) <= TOLERATED_SKEW:
        return Finding("ok", "clock", f"agrees with {host}")
    text = f"{abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} {host}"
    advice = "Events get wrong times, and rules that depend on the time err: synchronise the clock (NTP)."
    return Finding("failure" if abs(seconds) > MAX_SKEW else "warning", "clock", text, advice)
