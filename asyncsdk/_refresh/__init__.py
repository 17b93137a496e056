"""How rules arrive: they are requested, loaded in slices, and put into use all at once."""

from asyncsdk._refresh.polling import Fetcher
from asyncsdk._refresh.refresher import Refresher

__all__ = ["Fetcher", "Refresher"]
