"""How requests are sent: proxy, TLS, headers, or a session of the user's own."""

import re
from collections.abc import Mapping
from inspect import iscoroutinefunction
from typing import Any
from urllib.parse import urlsplit

import attrs

from asyncsdk._model.values import Value
from asyncsdk.errors import ConfigurationError

# A token of RFC 9110, section 5.6.2.
_HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)


def _without_password(url: object) -> str:
    """Show a proxy's URL without its user and password."""
    parts = urlsplit(str(url))
    return repr(None if url is None else f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def _check_proxy(_: object, __: object, proxy: str | None) -> None:
    if proxy is None:
        return
    if not (isinstance(proxy, str) and _is_http_address(proxy)):
        msg = (
            "`proxy` of HttpSettings must be the URL of an HTTP proxy, such as 'http://user:password@proxy:3128'; for "
            "SOCKS, pass a `connector` of aiohttp-socks"
        )
        raise ConfigurationError(msg)


def _is_http_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:  # a malformed port or host
        return False
    return url.isprintable() and " " not in url and parts.scheme in ("http", "https") and bool(host) and port != 0


def _check_headers(_: object, __: object, headers: Mapping[str, str]) -> None:
    is_text = isinstance(headers, Mapping) and all(
        isinstance(text, str) and text.isprintable() for pair in headers.items() for text in pair
    )
    if not is_text:
        msg = "`headers` of HttpSettings must map names to values, each a single line of text"
        raise ConfigurationError(msg)
    wrong = next((name for name in headers if not _HEADER_NAME.fullmatch(name)), None)
    if wrong is not None:
        msg = f"`headers` of HttpSettings has {wrong!r}, which is not the name of a header"
        raise ConfigurationError(msg)


def _fault_of(name: str, given: object, method: str) -> str:
    """Return what is wrong with a session or connector of the user's own; "" if nothing is.

    It is known by its method: those of other packages need not be subclasses of aiohttp's.
    """
    is_function = callable(given) and not iscoroutinefunction(given)
    if given is None or is_function or callable(getattr(given, method, None)):
        return ""
    kind = "an async function" if callable(given) else type(given).__name__
    return f"`{name}` of HttpSettings must be aiohttp's, or a plain function that returns one, not {kind}"


def _check_bool(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, bool):
        msg = f"`{attribute.name}` of HttpSettings must be True or False, not {type(value).__name__}"
        raise ConfigurationError(msg)


@attrs.frozen(eq=False, repr=False, kw_only=True)
class HttpSettings(Value):
    """How requests are sent: `Client(http=HttpSettings(proxy=...))`, or `http=` of one destination.

    Settings of a destination replace those of the client as a whole. Statsig's apply to rules and ID lists as well.
    Requests to a dev server (`ASYNCSDK_DEV_SERVER`) ignore all of them.

    Attributes:
        proxy: URL of an HTTP proxy, such as `http://user:password@proxy:3128`; None connects directly. The proxy
            resolves the vendor's name.
        trust_env: Whether to use the environment's `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, unless `proxy` is set.
        ssl: An `ssl.SSLContext`; None builds one from the files below, or takes the system's authorities.
        ca_file: Path of a file with the certificate authorities to trust, in PEM; None trusts the system's.
        client_cert: Path of a client certificate, in PEM; None sends none.
        client_key: Path of its key, in PEM; None if `client_cert` holds it too.
        headers: Headers to add to each request to the vendor and to the addresses of the settings; the file of an ID
            list at another server is requested without them. Those of the vendor's protocol cannot be replaced. Logs
            and reprs never show them.
        session: An `aiohttp.ClientSession` to send with, or a function that returns one, called on the client's loop.
            Its own proxy, TLS and timeouts apply unless set here, and its own headers and cookies go to every server.
            It is never closed.
        connector: An aiohttp connector to connect with, or a function that returns one. It is never closed.

    Raises:
        ConfigurationError: A setting is invalid, or two exclude each other; the message names them. Files are read and
            checked when the client is created.
    """

    proxy: str | None = attrs.field(default=None, validator=_check_proxy, repr=_without_password)
    trust_env: bool = attrs.field(default=False, validator=_check_bool)
    ssl: Any = attrs.field(default=None)
    ca_file: str | None = attrs.field(default=None)
    client_cert: str | None = attrs.field(default=None)
    client_key: str | None = attrs.field(default=None)
    headers: Mapping[str, str] = attrs.field(factory=dict, validator=_check_headers, repr=False)
    session: Any = attrs.field(default=None)
    connector: Any = attrs.field(default=None)

    def __attrs_post_init__(self) -> None:
        """Refuse settings that exclude each other."""
        files = self.ca_file or self.client_cert or self.client_key
        wrong = (
            "HttpSettings takes `ssl` or the files, not both: load the files into the context"
            if self.ssl is not None and files
            else "`client_key` of HttpSettings needs its `client_cert`"
            if self.client_key and not self.client_cert
            else "HttpSettings takes `session` or `connector`, not both: a session has its own connector"
            if self.session is not None and self.connector is not None
            else _fault_of("session", self.session, "request") or _fault_of("connector", self.connector, "connect")
        )
        if wrong:
            raise ConfigurationError(wrong)


def check_http(_: object, attribute: "attrs.Attribute[Any]", settings: object) -> None:
    """Validate an `http=` setting.

    Raises:
        ConfigurationError: It is neither HttpSettings nor None.
    """
    if settings is not None and not isinstance(settings, HttpSettings):
        msg = f"`{attribute.name}` must be HttpSettings(...), not {type(settings).__name__}"
        raise ConfigurationError(msg)
