"""Who makes a request: what the application says, completed with what the request itself says."""

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from inspect import isawaitable, iscoroutinefunction
from ipaddress import ip_address
from typing import Generic, TypeVar

import attrs

from asyncsdk import Client, ConfigurationError, Flags, User, UserLike
from asyncsdk.integrations._context import is_same_person

"""A user, or the id of one; None is somebody who is not signed in."""

Request = TypeVar("Request")
UserOf = Callable[[Request], UserLike | None | Awaitable[UserLike | None]]

# What the cookie may hold: it comes from outside, and goes to vendors.
_VISITOR = re.compile(r"[\w.:-]{1,64}", re.ASCII)
# One of `Accept-Language`, RFC 9110 section 12.5.4: `fr-CH`, `fr; q=0.9`.
_LANGUAGE = re.compile(r"(?P<tag>[A-Za-z0-9-]+)(?:\s*;\s*[qQ]=(?P<weight>[01](?:\.\d{0,3})?))?")
_COOKIE_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
# A year; browsers keep none longer than 400 days.
_COOKIE_AGE = 365 * 24 * 3600


Seen = tuple[str | None, str | None, str | None]
"""What every request says of who makes it: the address it came from, its `User-Agent` and its `Accept-Language`."""


@attrs.frozen
class Reading(Generic[Request]):
    """How a framework's requests are read: a function each for what is always looked at, and for what seldom is.

    Attributes:
        seen: Gives what every request says.
        forwarded: Gives all `X-Forwarded-For` headers, in order.
        cookie: Gives the value of a cookie by its name.
    """

    seen: Callable[[Request], Seen]
    forwarded: Callable[[Request], Sequence[str]]
    cookie: Callable[[Request, str], str | None]


@attrs.frozen
class Identity(Generic[Request]):
    """How users are told from a framework's requests.

    Attributes:
        user: The application's function; None knows nobody.
        reading: The framework's functions.
        trusted_proxies: How many proxies stand before the application, each of which adds to `X-Forwarded-For`.
        cookie: Name of the cookie by which visitors are known again; None sets none.
        is_async: The application's function has to be awaited.
    """

    user: UserOf[Request] | None
    reading: Reading[Request]
    trusted_proxies: int = attrs.field()
    cookie: str | None = attrs.field()
    is_async: bool = attrs.field(init=False)

    @is_async.default
    def _find_async(self) -> bool:
        return iscoroutinefunction(self.user)

    @trusted_proxies.validator
    def _check_proxies(self, _: object, value: object) -> None:
        if type(value) is not int or value < 0:
            msg = f"trusted_proxies is how many proxies stand before the application: 0, 1, ..., not {value!r}"
            raise ConfigurationError(msg)

    @cookie.validator
    def _check_cookie(self, _: object, value: object) -> None:
        if value is not None and not (isinstance(value, str) and _COOKIE_NAME.fullmatch(value)):
            msg = f"anonymous_cookie is the name of a cookie, such as 'visitor', not {value!r}"
            raise ConfigurationError(msg)

    def tell(self, request: Request) -> User:
        """Ask the application who makes a request."""
        return self._complete(request, None if self.user is None else self.user(request))

    async def tell_patiently(self, request: Request) -> User:
        """Do the same with a function that has to be awaited."""
        who = None if self.user is None else self.user(request)
        return self._complete(request, await who if isawaitable(who) else who)

    def _complete(self, request: Request, who: object) -> User:
        """Add to what the application says what it left out and the request tells.

        Raises:
            ConfigurationError: The application's function gave something else.
        """
        if who is None or isinstance(who, (str, int)):
            who = User(who)
        elif not isinstance(who, User):
            msg = f"the `user` function gives a User, an id or None, not {type(who).__name__}"
            raise ConfigurationError(msg)
        peer, user_agent, languages = self.reading.seen(request)
        return who.with_defaults(
            ip=self._address(request, peer) if self.trusted_proxies else peer,
            user_agent=user_agent,
            locale=preferred_language(languages) if languages else None,
            anonymous_id=None if self.cookie is None else self._visitor(request, self.cookie),
        )

    def set_cookie(self, request: Request, user: User | None, *, secure: bool) -> str | None:
        """Write the `Set-Cookie` header by which a visitor is known again; None if there is no need."""
        visitor = "" if user is None else str(user.anonymous_id or "")
        if self.cookie is None or not _VISITOR.fullmatch(visitor):
            return None
        if visitor == self.reading.cookie(request, self.cookie):
            return None
        only = "; Secure" if secure else ""
        return f"{self.cookie}={visitor}; Path=/; Max-Age={_COOKIE_AGE}; HttpOnly; SameSite=Lax{only}"

    def _address(self, request: Request, peer: str | None) -> str | None:
        return client_address(peer, self.reading.forwarded(request), self.trusted_proxies)

    def _visitor(self, request: Request, cookie: str) -> str:
        known = self.reading.cookie(request, cookie)
        return known if known and _VISITOR.fullmatch(known) else str(uuid.uuid4())


@attrs.define(eq=False)
class RequestContext(Generic[Request]):
    """What belongs to one request, and is kept with it.

    It does not know the request: that would be a cycle, which makes each request wait for the garbage collector.

    Attributes:
        client: The application's.
    """

    client: Client
    _identity: Identity[Request]
    _flags: Flags | None = None

    async def tell_first(self, request: Request, *, is_sticky: bool) -> None:
        """Tell the user before anybody asks, where that has to be awaited.

        Args:
            request: The one that this belongs to.
            is_sticky: The client keeps assignments (`is_sticky`), which are loaded now.
        """
        identity = self._identity
        user = await identity.tell_patiently(request) if identity.is_async else identity.tell(request)
        if is_sticky:
            await self.client.load_assignments(user)
        self._flags = self.client.bind(user)

    def flags_of(self, request: Request) -> Flags:
        """Give the flags of the request that this belongs to; the first time, its user is told."""
        flags = self._flags
        if flags is None:
            flags = self._flags = self.client.bind(self._identity.tell(request))
        return flags

    @property
    def known_user(self) -> User | None:
        """The user, if anybody has asked."""
        return None if self._flags is None else self._flags.user

    def read_by(self, user: User) -> Mapping[str, bool | str]:
        """Give what the request has read so far, if that was for this user."""
        flags = self._flags
        return flags.accessed if flags is not None and is_same_person(flags.user, user) else {}


@attrs.define(eq=False)
class CurrentRequest(Generic[Request]):
    """A request and what belongs to it, for code that is given neither.

    Attributes:
        context: What belongs to it.
        request: The framework's.
    """

    context: RequestContext[Request]
    request: Request

    @property
    def flags(self) -> Flags:
        """Its user, and one version of the rules."""
        return self.context.flags_of(self.request)

    def read_by(self, user: User) -> Mapping[str, bool | str]:
        """Give what it has read so far, if that was for this user."""
        return self.context.read_by(user)


def is_sticky(client: Client) -> bool:
    """Say whether a client keeps users in the groups of experiments that they were given first."""
    return client.health().assignments is not None


def client_address(peer: str | None, forwarded: Sequence[str], trusted_proxies: int) -> str | None:
    """Give the address that the outermost trusted proxy saw; that of the peer if fewer have written, or no address."""
    hops = ",".join(forwarded).split(",")
    seen = without_port(hops[-trusted_proxies].strip()) if trusted_proxies <= len(hops) else ""
    return seen if is_address(seen) else peer


@lru_cache(1024)  # a second look takes a twentieth
def is_address(text: str) -> bool:
    """Say whether a text is an address of IPv4 or IPv6."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def without_port(address: str) -> str:
    """Take the port off an address, which some proxies write: `192.0.2.1:80`, `[2001:db8::1]:80`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


@lru_cache(128)  # browsers say one of a few things
def preferred_language(accepted: str) -> str | None:
    """Give the language that an `Accept-Language` header likes best, the first of several; None if it names none."""
    best, most = None, 0.0
    for part in accepted.split(","):
        match = _LANGUAGE.fullmatch(part.strip())
        likes = float(match["weight"] or 1) if match else 0.0
        if match and likes > most:
            best, most = match["tag"], likes
    return best
