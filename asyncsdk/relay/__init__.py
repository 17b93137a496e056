"""Relays: processes that take events from an engine and deliver them. The command is `asyncsdk relay`."""

from asyncsdk.relay.relay import Relay

__all__ = ["Relay"]
