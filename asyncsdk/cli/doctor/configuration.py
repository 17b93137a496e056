"""What the client would be built from: the environment, as `Client.from_env` reads it, or a client of the service."""

import os
from collections.abc import Mapping, Sequence

import attrs

from asyncsdk import Client, ConfigurationError, Destination, HttpSettings, Statsig
from asyncsdk._client.arguments import DEV_SERVER, dev_server
from asyncsdk._client.off_switch import ENABLED, is_enabled
from asyncsdk.cli.doctor.findings import Finding
from asyncsdk.cli.relay import load_target
from asyncsdk.engines import Engine

KEYS = {
    "STATSIG_": "STATSIG_SECRET_KEY",
    "RUDDERSTACK_": "RUDDERSTACK_WRITE_KEY",
    "AMPLITUDE_": "AMPLITUDE_API_KEY",
}
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
# Variables by which hosting platforms and frameworks name the environment.
_STAGES = ("STATSIG_ENVIRONMENT", "ENVIRONMENT", "APP_ENV", "DJANGO_ENV", "FLASK_ENV", "NODE_ENV", "ENV")


@attrs.frozen
class Configuration:
    """What is examined.

    Attributes:
        destinations: Where events go.
        http: Proxy, TLS and headers of those without their own.
        engine: The engine of a fleet; None without one.
        dev_url: The dev server that replaces all vendors; None without one.
        findings: What is wrong, or worth to know, before any request.
    """

    destinations: Sequence[Destination]
    http: HttpSettings
    engine: Engine | None = None
    dev_url: str | None = None
    findings: Sequence[Finding] = ()

    def http_of(self, destination: Destination) -> HttpSettings:
        """Return the settings of a destination's requests."""
        own: HttpSettings | None = getattr(destination, "http", None)
        return own or self.http


def from_target(path: str) -> Configuration:
    """Return the configuration of a client of the service.

    Args:
        path: `MODULE:NAME` of a client, or of a function that returns one.

    Raises:
        ConfigurationError: There is no such client.
    """
    client = load_target(path)
    if not isinstance(client, Client):
        msg = f"{path!r} must be a Client, or a function that returns one"
        raise ConfigurationError(msg)
    return _complete(client.destinations, client.http or HttpSettings(), client.engine, [])


def from_environment(http: HttpSettings) -> Configuration:
    """Return the configuration that `Client.from_env` would build.

    Args:
        http: Proxy and TLS, from the command's options.

    Raises:
        ConfigurationError: There is no key.
    """
    destinations: list[Destination] = []
    findings = []
    for prefix, key in KEYS.items():
        # Vendor by vendor, so that a mistake in the variables of one does not hide the others.
        own = {name: value for name, value in os.environ.items() if name.startswith(prefix)}
        if not own.get(key, "").strip():
            continue
        try:
            destinations += Client.from_env(own).destinations
        except ConfigurationError as error:
            findings.append(Finding("failure", key, str(error), "Correct the variable; the client does not start."))
    if not destinations and not findings:
        msg = f"no destination: set {', '.join(KEYS.values())}, or name a client of your service, MODULE:NAME"
        raise ConfigurationError(msg)
    return _complete(destinations, http, None, findings)


def _complete(
    destinations: Sequence[Destination],
    http: HttpSettings,
    engine: Engine | None,
    findings: list[Finding],
) -> Configuration:
    environ, dev_url = os.environ, dev_server()
    if not is_enabled(None, environ):
        advice = f"Unset {ENABLED} where events are wanted."
        findings.append(Finding("failure", "off switch", f"{ENABLED} is set: nothing is sent", advice))
    if dev_url is not None:
        findings.append(_dev_server(dev_url, destinations, environ))
    elif (proxy := next((name for name in _PROXIES if environ.get(name)), "")) and not (http.trust_env or http.proxy):
        advice = "Client(http=HttpSettings(trust_env=True)) uses it; for this command, --trust-env."
        findings.append(Finding("warning", "proxy", f"{proxy} is set, but the client does not use it", advice))
    return Configuration(destinations, http, engine, dev_url, findings)


def _dev_server(url: str, destinations: Sequence[Destination], environ: Mapping[str, str]) -> Finding:
    stages = [environ.get(name, "") for name in _STAGES]
    stages += [each.environment or "" for each in destinations if isinstance(each, Statsig)]
    text = f"all events go to {url}, because {DEV_SERVER} is set"
    if any(stage.lower().startswith("prod") for stage in stages):
        return Finding("failure", "dev server", f"{text}; this is production", f"Unset {DEV_SERVER}.")
    return Finding("warning", "dev server", text, f"Vendors get nothing: unset {DEV_SERVER} where they should.")
