"""The vendors, one file or folder each, and the types with which to write another.

A vendor is a class that satisfies `Destination`: it encodes events to bytes, frames them as a `Request`, and judges
each `Response` with a `Verdict`. An event that the vendor cannot take becomes a `Refusal`; `Limits` bounds requests,
memory and time. `rudderstack.py` is the shortest example.
"""

from asyncsdk.vendors._base import Destination, Limits, Refusal, Request, Response, Verdict

__all__ = ["Destination", "Limits", "Refusal", "Request", "Response", "Verdict"]
