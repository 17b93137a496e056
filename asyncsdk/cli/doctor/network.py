"""Asks each vendor, the way the client does: name, TLS, answer, clock and rules. No event is sent."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

import attrs
from aiohttp.helpers import get_env_proxy_for_url
from yarl import URL

from asyncsdk import Destination, HttpSettings
from asyncsdk._threads import in_thread
from asyncsdk._transport import Transport, tls_context
from asyncsdk.cli.doctor.answers import judge, judge_clock, skew
from asyncsdk.cli.doctor.configuration import Configuration
from asyncsdk.cli.doctor.findings import Finding
from asyncsdk.cli.doctor.rules import check_rules
from asyncsdk.vendors._base import Limits, Request, Response
from asyncsdk.vendors.amplitude import Amplitude
from asyncsdk.vendors.rudderstack import RudderStack
from asyncsdk.vendors.statsig import Statsig

# Bodies without events: RudderStack and Statsig check the key first. Amplitude does so only if there are events; an
# empty object is none, so that it refuses the request.
_NO_EVENTS = {Statsig: b'{"events":[]}', RudderStack: b'{"batch":[]}', Amplitude: None}
# Days before the end of a certificate when there is a warning.
_CERTIFICATE_DAYS = 14


@attrs.define
class Network:
    """The checks that need the network; each server is asked once.

    Attributes:
        configuration: What to examine.
        timeout: Maximum time for each step, in seconds.
    """

    configuration: Configuration
    timeout: float
    # Whether a server can be talked to, by scheme, host and port.
    _servers: dict[str, bool] = attrs.field(init=False, factory=dict)
    _skew: tuple[str, float] | None = attrs.field(init=False, default=None)

    async def check(self) -> AsyncIterator[Finding]:
        """Yield what is found, server by server and vendor by vendor."""
        for destination in self.configuration.destinations:
            for check, request in _requests(destination):
                async for finding in self._ask(destination, check, request):
                    yield finding
        if self._skew is not None:
            yield judge_clock(*self._skew)

    async def _ask(self, destination: Destination, check: str, request: Request | None) -> AsyncIterator[Finding]:
        if request is None:
            yield Finding("skipped", check, "it cannot be asked without an event: use --send")
            return
        http = self.configuration.http_of(destination)
        url = self.configuration.dev_url or request.url
        proxy = None if self.configuration.dev_url else _proxy_for(url, http)
        server = proxy or url
        key = "{0.scheme}://{0.netloc}".format(urlsplit(server))
        if key not in self._servers:
            self._servers[key] = True
            async for finding in self._check_server(urlsplit(server), http, is_proxy=proxy is not None):
                self._servers[key] &= finding.state != "failure"
                yield finding
        if not self._servers[key]:
            yield Finding("skipped", check, "not asked, because of the failure above")
            return
        async with aclosing(
            Transport(Limits(timeout=self.timeout), self.configuration.dev_url, destination.name, http=http)
        ) as transport:
            began, clock = time.monotonic(), time.time()
            is_rules = request.purpose == "rules"
            response = await (transport.fetch(request) if is_rules else transport.send(request))
            taken = time.monotonic() - began
        self._record_skew(response, clock + taken / 2)
        finding = judge(check, response, taken * 1000, request)
        yield check_rules(check, response, clock) if is_rules and finding.state == "ok" else finding

    def _record_skew(self, response: Response, now: float) -> None:
        if self._skew is None and (seconds := skew(response, now)) is not None:
            self._skew = response.host, seconds

    async def _check_server(self, parts: SplitResult, http: HttpSettings, *, is_proxy: bool) -> AsyncIterator[Finding]:
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        prefix = "proxy " if is_proxy else ""
        if not _is_address(host):
            finding = await self._look_up(prefix + "name", host, port)
            yield finding
            if finding.state == "failure":
                return
        if parts.scheme == "https" and http.session is None and http.connector is None:
            yield await self._check_tls(f"{prefix}TLS", host, port, http)

    async def _look_up(self, check: str, host: str, port: int) -> Finding:
        try:
            async with asyncio.timeout(self.timeout):
                found = await in_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except TimeoutError:
            advice = "The name server does not answer: check /etc/resolv.conf, and UDP port 53."
            return Finding("failure", check, f"{host}: no answer in {self.timeout:g} s", advice)
        except OSError as error:
            advice = "Check the address for a typing error, and the name server of this machine."
            return Finding("failure", check, f"{host} is not found ({error.strerror})", advice)
        count = len({address[4][0] for address in found})
        return Finding("ok", check, f"{host} has {count} address{'es' if count > 1 else ''}")

    async def _check_tls(self, check: str, host: str, port: int, http: HttpSettings) -> Finding:
        context = tls_context(http) or ssl.create_default_context()
        try:
            async with asyncio.timeout(self.timeout):
                _, writer = await asyncio.open_connection(host, port, ssl=context)
        except ssl.SSLCertVerificationError as error:
            advice = "If a proxy of your company opens TLS, pass its authority: Client(http=HttpSettings(ca_file=...))."
            return Finding("failure", check, f"{host}: {error.verify_message}", advice)
        except OSError as error:  # an SSLError and a TimeoutError are, too
            text = getattr(error, "reason", "") or error.strerror or "no connection in time"
            advice = "Check the address and port, and that a firewall lets TLS pass."
            return Finding("failure", check, f"{host}: {text}", advice)
        certificate = writer.get_extra_info("peercert")
        writer.transport.abort()
        return _judge_certificate(check, host, certificate)


def _judge_certificate(check: str, host: str, certificate: dict[str, str]) -> Finding:
    if not certificate:
        return Finding("warning", check, f"{host}: the certificate is not verified", "Use a context that verifies it.")
    until = ssl.cert_time_to_seconds(certificate["notAfter"])
    text = f"{host}: the certificate is valid until {datetime.fromtimestamp(until, UTC):%Y-%m-%d}"
    if until - time.time() < _CERTIFICATE_DAYS * 86_400:
        return Finding("warning", check, text, "It ends soon: have it renewed.")
    return Finding("ok", check, text)


def _requests(destination: Destination) -> list[tuple[str, Request | None]]:
    """Return what to ask a vendor: None for one of your own, which an empty request might confuse."""
    now_ms = time.time_ns() // 1_000_000
    kind = type(destination)
    if kind not in _NO_EVENTS or (isinstance(destination, Statsig) and destination.offline):
        return [(destination.name, None)]
    events, body = destination.frame([b"{"], now_ms), _NO_EVENTS[kind]
    if body is not None:
        events = attrs.evolve(events, body=body, events=0)
    if isinstance(destination, Statsig) and destination.rules is not None:
        rules = destination.build_rules_request(0, "", now_ms)
        return [(f"{destination.name} rules", rules), (f"{destination.name} events", events)]
    return [(destination.name, events)]


def _proxy_for(url: str, http: HttpSettings) -> str | None:
    if http.proxy or not http.trust_env:
        return http.proxy
    try:
        return str(get_env_proxy_for_url(URL(url))[0])
    except LookupError:  # no variable, or NO_PROXY has the host
        return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
