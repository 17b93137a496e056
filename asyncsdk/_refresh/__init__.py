"""Where the client's rules come from: asked for, compiled in slices, replaced whole."""

from asyncsdk._refresh.polling import Fetcher
from asyncsdk._refresh.refresher import Refresher

__all__ = ["Fetcher", "Refresher"]
