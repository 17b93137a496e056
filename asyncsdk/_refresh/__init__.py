"""The path of the rules in: requested, compiled in steps, replaced as a whole."""

from asyncsdk._refresh.polling import Fetcher
from asyncsdk._refresh.refresher import Refresher

__all__ = ["Fetcher", "Refresher"]
