"""Who makes a request: what the application says, completed with what the request itself says."""

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from inspect import iscoroutinefunction
from typing import Generic, TypeVar

import attrs

from asyncsdk import Client, ConfigurationError, Flags, User
from asyncsdk.integrations._context import is_same_person

Who = User | str | int | None
"""A user, or the id of one; None is somebody who is not signed in."""

Request = TypeVar("Request")
UserOf = Callable[[Request], Who | Awaitable[Who]]

# What the cookie may hold: it comes from outside, and goes to vendors.
_VISITOR = re.compile(r"[\w.:-]{1,64}", re.ASCII)
# One of `Accept-Language`, RFC 9110 section 12.5.4: `fr-CH`, `fr; q=0.9`.
_LANGUAGE = re.compile(r"(?P<tag>[A-Za-z0-9-]+)(?:\s*;\s*[qQ]=(?P<weight>[01](?:\.\d{0,3})?))?")
_COOKIE_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
# A year; browsers keep none longer than 400 days.
_COOKIE_AGE = 365 * 24 * 3600


@attrs.define
class Seen:
    """What a request says of who makes it.

    Attributes:
        peer: The address it came from.
        forwarded: All its `X-Forwarded-For` headers, in order.
        user_agent: Its `User-Agent` header.
        languages: Its `Accept-Language` header.
        cookie: The value of the one cookie that matters.
    """

    peer: str | None
    forwarded: Sequence[str]
    user_agent: str | None
    languages: str | None
    cookie: str | None


@attrs.frozen
class Identity(Generic[Request]):
    """How users are told from a framework's requests.

    Attributes:
        user: The application's function; None knows nobody.
        see: The framework's function; it is also given the name of the cookie.
        trusted_proxies: How many proxies stand before the application, each of which adds to `X-Forwarded-For`.
        cookie: Name of the cookie by which visitors are known again; None sets none.
    """

    user: UserOf[Request] | None
    see: Callable[[Request, str | None], Seen]
    trusted_proxies: int = attrs.field()
    cookie: str | None = attrs.field()
    _ask: Callable[[Request], Awaitable[Who]] | None = attrs.field(init=False)

    @_ask.default
    def _find_async(self) -> Callable[[Request], Awaitable[Who]] | None:
        return self.user if iscoroutinefunction(self.user) else None

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

    async def begin(self, client: Client, request: Request, *, is_sticky: bool) -> "RequestContext[Request]":
        """Begin a request. Its user is told now if that has to be awaited, which nobody can do later.

        Args:
            client: The application's.
            request: The framework's.
            is_sticky: The client keeps assignments (`is_sticky`), which are loaded now.
        """
        if self._ask is None and not is_sticky:
            return RequestContext(client, self)
        user = self.tell(request) if self._ask is None else self._complete(request, await self._ask(request))
        if is_sticky:
            await client.load_assignments(user)
        return RequestContext(client, self, client.bind(user))

    def tell(self, request: Request) -> User:
        """Ask the application who makes a request."""
        return self._complete(request, None if self.user is None else self.user(request))

    def _complete(self, request: Request, who: object) -> User:
        """Add to what the application says what it left out and the request tells.

        Raises:
            ConfigurationError: The application's function gave something else.
        """
        if who is not None and not isinstance(who, (User, str, int)):
            msg = f"the `user` function gives a User, an id or None, not {type(who).__name__}"
            raise ConfigurationError(msg)
        given = who if isinstance(who, User) else User(who)
        seen = self.see(request, self.cookie)
        address = client_address(seen.peer, seen.forwarded, self.trusted_proxies)
        # Written out: each request has a user, and `attrs.evolve` takes ten times as long.
        return User(
            given.user_id,
            email=given.email,
            ip=address if given.ip is None else given.ip,
            user_agent=seen.user_agent if given.user_agent is None else given.user_agent,
            country=given.country,
            locale=preferred_language(seen.languages or "") if given.locale is None else given.locale,
            app_version=given.app_version,
            custom=given.custom,
            custom_ids=given.custom_ids,
            private_attributes=given.private_attributes,
            anonymous_id=self._visitor(seen) if given.anonymous_id is None else given.anonymous_id,
            device_id=given.device_id,
            statsig_environment=given.statsig_environment,
        )

    def set_cookie(self, request: Request, user: User | None, *, secure: bool) -> str | None:
        """Write the `Set-Cookie` header by which a visitor is known again; None if there is no need."""
        visitor = "" if user is None else str(user.anonymous_id or "")
        if self.cookie is None or not _VISITOR.fullmatch(visitor) or visitor == self.see(request, self.cookie).cookie:
            return None
        only = "; Secure" if secure else ""
        return f"{self.cookie}={visitor}; Path=/; Max-Age={_COOKIE_AGE}; HttpOnly; SameSite=Lax{only}"

    def _visitor(self, seen: Seen) -> str | None:
        if self.cookie is None:
            return None
        return seen.cookie if seen.cookie and _VISITOR.fullmatch(seen.cookie) else str(uuid.uuid4())


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
    """Give the address that the outermost trusted proxy saw; that of the peer if fewer proxies have written."""
    if not trusted_proxies:
        return peer
    hops = ",".join(forwarded).split(",")
    return without_port(hops[-trusted_proxies].strip()) or peer if trusted_proxies <= len(hops) else peer


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
