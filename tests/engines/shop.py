"""A service's client, as `asyncsdk relay engines.shop:client` loads it; its settings are in the environment."""

import os
from typing import Any

from asyncsdk import Client, Limits, RudderStack
from asyncsdk.engines import Engine, Postgres, Redis

LIMITS = Limits(linger=0.01, retry_initial=0.05, retry_max=0.2, probe_interval=0.5, timeout=2.0)


def make_engine() -> Engine:
    kind, address, place = os.environ["SHOP_ENGINE"].split(" ")
    timeout = float(os.environ.get("SHOP_TIMEOUT", "3"))
    if kind == "redis":
        return Redis(address, prefix=place, timeout=timeout)
    return Postgres(address, table=place, timeout=timeout)


def client(**options: Any) -> Client:
    plane = RudderStack("write-key", os.environ["SHOP_PLANE"], limits=LIMITS)
    return Client(plane, engine=make_engine(), exposures=False, **options)


def without_engine() -> Client:
    return Client(RudderStack("write-key", "http://127.0.0.1:9", limits=LIMITS))
