"""From a URL to a client of redis-py: one server, Sentinel, or a cluster.

    redis://[user[:password]@]host[:port][/db]                     rediss:// for TLS
    unix:///path/to/socket[?db=0]
    redis+sentinel://[user[:password]@]host[:port],.../service[/db]  rediss+sentinel:// for TLS
    redis+cluster://[user[:password]@]host[:port],...               rediss+cluster:// for TLS

`valkey` may stand for `redis` everywhere. The query may set parameters of redis-py, such as `ssl_ca_certs`; for
Sentinel also `sentinel_username` and `sentinel_password`.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs

from asyncsdk.errors import ConfigurationError

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_FORMS = "redis://host:6379/0, rediss://..., unix:///path, redis+sentinel://host:26379/service or redis+cluster://host"


@attrs.frozen
class Address:
    """Where a server is.

    Attributes:
        kind: `single`, `sentinel` or `cluster`.
        url: For redis-py: a `redis`, `rediss` or `unix` URL of the first host.
        hosts: All hosts with their ports.
        service: The name of the service that Sentinel watches.
        sentinel: Parameters of the connections to Sentinel itself.
    """

    kind: str
    url: str = attrs.field(repr=False)
    hosts: Sequence[tuple[str, int]]
    service: str = ""
    sentinel: Mapping[str, str] = attrs.field(factory=dict, repr=False)

    def __str__(self) -> str:
        where = ",".join(f"{host}:{port}" for host, port in self.hosts) or urlsplit(self.url).path
        return f"{where}/{self.service}" if self.service else where


def parse_address(url: str) -> Address:
    """Take a URL apart.

    Raises:
        ConfigurationError: It has none of the forms above. The message does not repeat it: it may hold a password.
    """
    scheme, _, rest = url.partition("://") if isinstance(url, str) else ("", "", "")
    scheme = scheme.replace("valkeys", "rediss").replace("valkey", "redis")
    if scheme not in _SCHEMES or not rest:
        msg = f"the URL of a Redis engine has one of the forms {_FORMS}"
        raise ConfigurationError(msg)
    if scheme == "unix":
        return Address("single", f"unix://{rest}", ())
    protocol, _, kind = scheme.partition("+")
    location, slash, tail = rest.partition("/")
    if not slash:
        location, mark, query = rest.partition("?")
        tail = mark + query
    user, at, places = location.rpartition("@")
    default_port = 26379 if kind == "sentinel" else 6379
    try:
        hosts = [_host_and_port(place, default_port) for place in places.split(",")]
    except ValueError:
        msg = "a host or port in the URL of the Redis engine is not valid"
        raise ConfigurationError(msg) from None
    path, mark, query = tail.partition("?")
    service, sentinel = "", {}
    if kind == "sentinel":
        service, _, path = path.partition("/")
        if not service:
            msg = "the URL of a Sentinel engine ends with the name of the service: redis+sentinel://host:26379/service"
            raise ConfigurationError(msg)
        pairs = [part.partition("=") for part in query.split("&") if part]
        sentinel = {name.removeprefix("sentinel_"): unquote(value) for name, _, value in pairs if "sentinel_" in name}
        query = "&".join(f"{name}={value}" for name, _, value in pairs if "sentinel_" not in name)
        mark = "?" if query else ""
    first = "{}:{}".format(*(_bracketed(hosts[0][0]), hosts[0][1]))
    return Address(
        kind or "single", f"{protocol}://{user}{at}{first}/{path}{mark}{query}", hosts, unquote(service), sentinel
    )


def _host_and_port(place: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{place or 'localhost'}")
    if not parts.hostname:
        raise ValueError(place)
    return parts.hostname, parts.port or default_port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def connect(address: Address, timeout: float, max_wait: float) -> Any:
    """Return a client of redis-py, which has not connected yet.

    Its own retries are off: they would hide an outage for half a minute, and repeat an XADD that was done.

    Args:
        address: The server.
        timeout: Maximum time to connect, and to wait for a reply, in seconds.
        max_wait: Maximum time that a command blocks in the server, in seconds.
    """
    import redis.asyncio as aredis  # noqa: PLC0415 -- an extra
    from redis.asyncio.cluster import ClusterNode, RedisCluster  # noqa: PLC0415
    from redis.asyncio.connection import SSLConnection, parse_url  # noqa: PLC0415
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.asyncio.sentinel import Sentinel  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    common: dict[str, Any] = {
        "socket_timeout": timeout + max_wait,
        "socket_connect_timeout": timeout,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
    }
    if address.kind == "single":
        return aredis.Redis.from_url(address.url, **common)
    parsed = dict(parse_url(address.url))
    uses_tls = parsed.pop("connection_class", None) is SSLConnection
    del parsed["host"], parsed["port"]
    if uses_tls:
        parsed["ssl"] = True
    if address.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        return RedisCluster(startup_nodes=nodes, **{**common, **parsed})
    tls = {name: value for name, value in parsed.items() if name.startswith("ssl")}
    sentinels: Any = Sentinel(  # type: ignore[no-untyped-call] # redis-py
        address.hosts, sentinel_kwargs={**common, **tls, **address.sentinel}, **{**common, **parsed}
    )
    return sentinels.master_for(address.service)


async def disconnect(client: Any) -> None:
    """Close all connections of a client, those to Sentinel included. Does not raise."""
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    for one in (client, *(manager.sentinels if manager is not None else ())):
        with suppress(Exception):
            await one.aclose()
