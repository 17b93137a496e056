"""Who may use the dev server: checks of `Host` and `Origin`, and the headers that let a developer's page use it.

Any page in a developer's browser can send requests to a port of this machine. Two headers tell such requests apart:

| attack | told by | decision |
|---|---|---|
| a name of the attacker that resolves to 127.0.0.1 (DNS rebinding) | `Host` | addresses and local names only |
| a form or a `fetch` of a page on another site | `Origin` | refused, `null` included |
| the same of another page on this machine, to a vendor's endpoint | `Origin` | allowed: the developer's page |
| the same, to the control API | `Origin` | refused, unless its origin was allowed by name |

Programs send no `Origin`, and are not affected. Pure.
"""

from collections.abc import Collection, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import attrs

_LOOPBACK_NAMES = ("localhost",)
_PREFLIGHT_SECONDS = "600"


@attrs.frozen
class Guard:
    """The decisions of one server.

    Attributes:
        host: The name or address that it was told to listen on.
        origins: Origins that may use everything, such as `https://app.test`; their hosts may be in `Host` too.
    """

    host: str
    origins: Collection[str] = ()

    def fault(self, host: str | None, origin: str | None, *, is_control: bool) -> str:
        """Return why a request is refused; `""` if it is not.

        Args:
            host: The request's `Host`; None if it has none, which no browser's request is without.
            origin: The request's `Origin`; None if it has none.
            is_control: Whether the request is for the control API, not for a vendor.
        """
        if host is not None and not self._is_known_host(host):
            return (
                f"the Host {host[:80]!r} is not this machine; if it is, start the server with --host or --allow-origin"
            )
        if origin is None or origin in self.origins or origin.partition("://")[2] == host:
            return ""
        if not is_control and self._is_loopback(origin):
            return ""
        return f"pages of {origin[:80]!r} may not use this server; --allow-origin allows them"

    def headers(self, origin: str | None, *, is_control: bool) -> Mapping[str, str]:
        """Return the headers that let a page of an allowed origin read the response."""
        if origin is None or (is_control and origin not in self.origins):
            return {}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

    def preflight(self, origin: str, wanted: str) -> Mapping[str, str]:
        """Return the headers that answer a browser's question about a request.

        Args:
            origin: The page's origin, which is allowed.
            wanted: The headers that the page wants to send.
        """
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
            "Access-Control-Allow-Headers": wanted or "content-type",
            "Access-Control-Allow-Private-Network": "true",
            "Access-Control-Max-Age": _PREFLIGHT_SECONDS,
            "Vary": "Origin",
        }

    def _is_known_host(self, host: str) -> bool:
        name = _hostname(f"//{host}")
        allowed = (self.host.lower(), *map(_hostname, self.origins))
        # A name without a dot, such as that of a container, cannot be registered by an attacker.
        is_local = "." not in name or name.endswith(".localhost")
        return bool(name) and (is_local or name in allowed or _address(name) is not None)

    @staticmethod
    def _is_loopback(origin: str) -> bool:
        name = _hostname(origin)
        address = _address(name)
        return name in _LOOPBACK_NAMES or name.endswith(".localhost") or (address is not None and address.is_loopback)


def _hostname(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower().rstrip(".")
    except ValueError:
        return ""


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None
