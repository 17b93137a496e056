"""The headers that identify the client in each request to Statsig.

Sources: statsig-python-core 0.24.0 and statsig 0.72.1 (Python), as received by a local server.
"""

from asyncsdk._version import __version__

SDK_TYPE = "asyncsdk"


def common_headers(secret_key: str, session_id: str, now_ms: int) -> dict[str, str]:
    """Return the headers of any request: the key, the time, and the client."""
    return {
        "STATSIG-API-KEY": secret_key,
        "STATSIG-CLIENT-TIME": str(now_ms),
        "STATSIG-SERVER-SESSION-ID": session_id,
        "STATSIG-SDK-TYPE": SDK_TYPE,
        "STATSIG-SDK-VERSION": __version__,
    }
