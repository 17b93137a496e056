"""The user of a request: what the application says, completed with what the request itself contains.

One `Identity` per application has the settings. One `RequestContext` per request has the result, the request's `Flags`,
which is computed in one of two ways:

1. Lazily, when the request first asks for its flags (`RequestContext.flags_of`). A request that does not ask pays for
   one small object.
2. Before the handler (`RequestContext.resolve_async`), if the application's function is `async`, or if assignments have
   to be loaded: both have to be awaited, which `get_flags(request)` cannot do.

Example: `User("ada")` from the application becomes `User("ada", ip="192.0.2.1", user_agent="...", locale="nl-NL")`.
"""

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from inspect import isawaitable, iscoroutinefunction
from ipaddress import IPv6Address, ip_address
from typing import Any, Generic, TypeVar

import attrs

from asyncsdk import Client, ConfigurationError, Flags, InvalidEventError, User, UserLike
from asyncsdk.integrations._context import EventDefaultsOf, is_same_user

Request = TypeVar("Request")
UserOf = Callable[[Request], UserLike | None | Awaitable[UserLike | None]]
"""An application's `user=` function. It returns a user or an id; None is a user who is not signed in."""

# Allowed values of the visitor's cookie: it comes from outside, and is sent to vendors.
_VISITOR = re.compile(r"[\w.:-]{1,64}", re.ASCII)
# One element of `Accept-Language`, RFC 9110 section 12.5.4: `fr-CH`, `fr; q=0.9`.
_LANGUAGE = re.compile(r"(?P<tag>[A-Za-z0-9-]+)(?:\s*;\s*[qQ]=(?P<weight>[01](?:\.\d{0,3})?))?")
_COOKIE_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
# One year, in seconds; browsers keep no cookie longer than 400 days.
_COOKIE_AGE = 365 * 24 * 3600


ClientInfo = tuple[str | None, str | None, str | None]
"""Address of the peer, `User-Agent` and `Accept-Language` of a request; None for each that is missing."""


@attrs.frozen
class RequestReader(Generic[Request]):
    """Functions that read a framework's requests.

    The three values that are always needed are read by one call; the others are rarely needed.

    Attributes:
        client_info: Returns the `ClientInfo`.
        forwarded: Returns the values of all `X-Forwarded-For` headers, in order.
        cookie: Returns the value of a cookie by its name; None if it was not sent.
    """

    client_info: Callable[[Request], ClientInfo]
    forwarded: Callable[[Request], Sequence[str]]
    cookie: Callable[[Request, str], str | None]


@attrs.frozen
class Identity(Generic[Request]):
    """An application's settings for identifying the users of its requests.

    Attributes:
        user: The application's function; None if every user is anonymous.
        reader: The framework's functions.
        trusted_proxies: Number of proxies in front of the application, each of which appends to `X-Forwarded-For`.
        cookie: Name of the cookie that identifies returning visitors; None sets no cookie.
        secure_cookie: Whether the cookie is `Secure`; None decides by the request and the cookie's name.
        event_properties: The application's function for properties of the request's events; None for none.
        event_context: The same for their context.
        is_async: Whether the application's function has to be awaited.
    """

    user: UserOf[Request] | None
    reader: RequestReader[Request]
    trusted_proxies: int = attrs.field()
    cookie: str | None = attrs.field()
    secure_cookie: bool | None = attrs.field(default=None)
    event_properties: EventDefaultsOf[Request] = attrs.field(default=None)
    event_context: EventDefaultsOf[Request] = attrs.field(default=None)
    is_async: bool = attrs.field(init=False)

    @is_async.default
    def _find_async(self) -> bool:
        return iscoroutinefunction(self.user)

    @event_properties.validator
    @event_context.validator
    def _check_defaults(self, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value is not None and (not callable(value) or iscoroutinefunction(value)):
            msg = f"{attribute.name} is a plain function of the request that returns a mapping, not {value!r}"
            raise ConfigurationError(msg)

    @property
    def has_defaults(self) -> bool:
        """Whether the application has defaults for the events of a request."""
        return self.event_properties is not None or self.event_context is not None

    @trusted_proxies.validator
    def _check_proxies(self, _: object, value: object) -> None:
        if type(value) is not int or value < 0:
            msg = f"trusted_proxies is the number of proxies in front of the application: 0, 1, ..., not {value!r}"
            raise ConfigurationError(msg)

    @cookie.validator
    def _check_cookie(self, _: object, value: object) -> None:
        if value is not None and not (isinstance(value, str) and _COOKIE_NAME.fullmatch(value)):
            msg = f"anonymous_cookie is the name of a cookie, such as 'visitor', not {value!r}"
            raise ConfigurationError(msg)

    @secure_cookie.validator
    def _check_secure(self, _: object, value: object) -> None:
        if value is not None and not isinstance(value, bool):
            msg = f"secure_cookie is True, False or None, not {value!r}"
            raise ConfigurationError(msg)
        if value is False and self._must_be_secure:
            msg = f"browsers accept a cookie named {self.cookie!r} only if it is Secure: leave secure_cookie at None"
            raise ConfigurationError(msg)

    @property
    def _must_be_secure(self) -> bool:
        """Whether browsers refuse the cookie without `Secure` (RFC 6265bis, section 4.1.3)."""
        return self.cookie is not None and self.cookie.lower().startswith(("__host-", "__secure-"))

    def identify(self, request: Request) -> User:
        """Return the user of a request.

        Raises:
            ConfigurationError: The application's function returns neither a User nor an id nor None.
        """
        return self._completed(request, None if self.user is None else self.user(request))

    async def identify_async(self, request: Request) -> User:
        """Return the user of a request, awaiting the application's function if needed.

        Raises:
            ConfigurationError: The application's function returns neither a User nor an id nor None.
        """
        user = None if self.user is None else self.user(request)
        return self._completed(request, await user if isawaitable(user) else user)

    def _completed(self, request: Request, user: object) -> User:
        """Return a user whose missing fields are filled from the request."""
        if not isinstance(user, User):
            user = User() if user is None else _user_of(user)
        peer, user_agent, languages = self.reader.client_info(request)
        return user.with_defaults(
            ip=as_ipv4(self._address(request, peer) if self.trusted_proxies else peer),
            user_agent=user_agent,
            locale=preferred_language(languages) if languages else None,
            anonymous_id=None if self.cookie is None else self._visitor(request, self.cookie),
        )

    def set_cookie(self, request: Request, user: User | None, *, secure: bool) -> str | None:
        """Return the `Set-Cookie` header that makes a new visitor known.

        Args:
            request: The request.
            user: Its user; None if the request did not ask for its flags, so that no cookie is needed.
            secure: Whether the request came over HTTPS.

        Returns:
            The header's value; None if the browser has the cookie already, or none is to be set.
        """
        visitor = "" if user is None else str(user.anonymous_id or "")
        if self.cookie is None or not _VISITOR.fullmatch(visitor):
            return None
        if visitor == self.reader.cookie(request, self.cookie):
            return None
        is_secure = secure or self._must_be_secure if self.secure_cookie is None else self.secure_cookie
        suffix = "; Secure" if is_secure else ""
        return f"{self.cookie}={visitor}; Path=/; Max-Age={_COOKIE_AGE}; HttpOnly; SameSite=Lax{suffix}"

    def _address(self, request: Request, peer: str | None) -> str | None:
        return client_address(peer, self.reader.forwarded(request), self.trusted_proxies)

    def _visitor(self, request: Request, cookie: str) -> str:
        sent = self.reader.cookie(request, cookie)
        return sent if sent and _VISITOR.fullmatch(sent) else str(uuid.uuid4())


@attrs.define(eq=False)
class RequestContext(Generic[Request]):
    """The state that is kept with one request.

    It has no reference to the request: the request refers to it, and a cycle would leave each request to the garbage
    collector.

    Attributes:
        client: The application's client.
    """

    client: Client
    _identity: Identity[Request]
    _flags: Flags | None = None

    async def resolve_async(self, request: Request, *, is_sticky: bool) -> None:
        """Identify the user before the handler runs, which is needed if that has to be awaited.

        Args:
            request: The request that this context belongs to.
            is_sticky: Whether the client keeps assignments (`is_sticky`); the user's are loaded now.
        """
        identity = self._identity
        user = await identity.identify_async(request) if identity.is_async else identity.identify(request)
        if is_sticky:
            await self.client.load_assignments(user)
        self._flags = self.client.bind(user)

    def flags_of(self, request: Request) -> Flags:
        """Return the flags of the request that this context belongs to; the first call identifies the user."""
        flags = self._flags
        if flags is None:
            flags = self._flags = self.client.bind(self._identity.identify(request))
        return flags

    @property
    def event_defaults(self) -> tuple[EventDefaultsOf[Request], EventDefaultsOf[Request]]:
        """The application's functions for the properties and the context of events."""
        return self._identity.event_properties, self._identity.event_context

    @property
    def resolved_user(self) -> User | None:
        """The user; None if the request has not asked for its flags yet."""
        return None if self._flags is None else self._flags.user

    def accessed_by(self, user: User) -> Mapping[str, bool | str]:
        """Return what the request has read so far; empty if `user` is not the request's user."""
        flags = self._flags
        return flags.accessed if flags is not None and is_same_user(flags.user, user) else {}


@attrs.define(eq=False)
class CurrentRequest(Generic[Request]):
    """A request with its context: the value of `CURRENT_REQUEST`.

    Attributes:
        context: The request's context.
        request: The framework's request.
    """

    context: RequestContext[Request]
    request: Request

    @property
    def flags(self) -> Flags:
        """The flags of the request: its user, and one version of the rules."""
        return self.context.flags_of(self.request)

    def accessed_by(self, user: User) -> Mapping[str, bool | str]:
        """Return what the request has read so far; empty if `user` is not the request's user."""
        return self.context.accessed_by(user)

    def event_defaults(self) -> tuple[EventDefaultsOf[Request], EventDefaultsOf[Request]]:
        """Return the application's functions for the properties and the context of events; None for each not given."""
        return self.context.event_defaults


def is_sticky(client: Client) -> bool:
    """Return whether a client keeps users in the experiment groups that they were first assigned to."""
    return client.health().assignments is not None


def client_address(peer: str | None, forwarded: Sequence[str], trusted_proxies: int) -> str | None:
    """Return the address of the client behind trusted proxies.

    Each proxy appends the address that it saw, so the entry of the outermost trusted proxy is the n-th from the end;
    entries before that one may be forged.

    Args:
        peer: Address of the connection's other end.
        forwarded: Values of all `X-Forwarded-For` headers, in order.
        trusted_proxies: Number of trusted proxies, at least 1.

    Returns:
        The address that the outermost trusted proxy saw; the peer's if there are fewer entries than trusted proxies, or
        that entry is not an IP address.
    """
    hops = ",".join(forwarded).split(",")
    address = without_port(hops[-trusted_proxies].strip(' \t\r\n"')) if trusted_proxies <= len(hops) else ""
    return address if is_address(address) else peer


def as_ipv4(address: str | None) -> str | None:
    """Return the IPv4 address that an IPv6 socket shows as `::ffff:192.0.2.1`; any other address as it is."""
    return _unmapped(address) if address is not None and ":" in address else address


@lru_cache(1024)  # a cached call takes a twentieth
def _unmapped(address: str) -> str:
    try:
        mapped = IPv6Address(address.partition("%")[0]).ipv4_mapped
    except ValueError:
        return address
    return address if mapped is None else str(mapped)


def _user_of(user: Any) -> User:
    """Return the user for what an application's function returned.

    Raises:
        ConfigurationError: It is neither an id nor an object in Statsig's form.
    """
    try:
        return User.of(user)
    except InvalidEventError as error:
        msg = f"the `user` function must return a User, an id or None, not {type(user).__name__}: {error}"
        raise ConfigurationError(msg) from error


@lru_cache(1024)  # a cached call takes a twentieth
def is_address(text: str) -> bool:
    """Return whether a text is an IPv4 or IPv6 address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def without_port(address: str) -> str:
    """Return an address without the port that some proxies write: `192.0.2.1:80`, `[2001:db8::1]:80`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


@lru_cache(128)  # browsers send few different values
def preferred_language(accepted: str) -> str | None:
    """Return the language with the highest weight in an `Accept-Language` header, the first of several equal ones.

    Args:
        accepted: Value of the header.

    Returns:
        A language tag such as `nl-NL`; None if the header names none with a weight above 0.
    """
    best, best_weight = None, 0.0
    for part in accepted.split(","):
        match = _LANGUAGE.fullmatch(part.strip())
        weight = float(match["weight"] or 1) if match else 0.0
        if match and weight > best_weight:
            best, best_weight = match["tag"], weight
    return best
