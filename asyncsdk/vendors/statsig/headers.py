"""What every request to Statsig says of its sender.

Sources: statsig-python-core 0.24.0 and statsig 0.72.1 (Python), as seen on a loopback server.
"""

from asyncsdk._version import __version__

SDK_TYPE = "asyncsdk"


def common_headers(secret_key: str, session_id: str, now_ms: int) -> dict[str, str]:
    """Give the headers of any request: the key, and who asks."""
    return {
        "STATSIG-API-KEY": secret_key,
        "STATSIG-CLIENT-TIME": str(now_ms),
        "STATSIG-SERVER-SESSION-ID": session_id,
        "STATSIG-SDK-TYPE": SDK_TYPE,
        "STATSIG-SDK-VERSION": __version__,
    }
