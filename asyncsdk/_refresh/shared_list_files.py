"""Files of ID lists that a fleet shares: the leader writes what it downloads, and the others read it.

A file larger than `MAX_SHARED_LIST` is not shared, nor one of which the leader has downloaded only the end. Then each
process downloads what it lacks from the file's own server.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

from asyncsdk._model.fleet import Copy
from asyncsdk._refresh.polling import Receive
from asyncsdk._refresh.shared_rules import SharedPoller
from asyncsdk.vendors._base import ListFile, Response

MAX_SHARED_LIST = 4_000_000
"""Maximum size of a file that is shared, in bytes: 400,000 ids."""
_PARTIAL = 206


async def stream_shared(
    shared: SharedPoller,
    key: str,
    file: ListFile,
    stream: Callable[[Receive], Awaitable[Response]],
    receive: Receive,
) -> Response:
    """Pass a file on from `file.start`, from the engine if it has it, else from its server.

    Args:
        shared: The poller of the fleet.
        key: Key of the list.
        file: The file.
        stream: Downloads it.
        receive: Called with the response and the pieces of the body, as by `Fetcher.stream`.
    """
    copy = await shared.read_file(key) if file.size <= MAX_SHARED_LIST else None
    if copy is None:
        return await stream(receive)
    held = copy.body or b""
    # A list of another SDK has no generation.
    is_same = copy.generation in ("", file.generation)
    if is_same and len(held) >= max(file.size, 1):
        await receive(Response(_PARTIAL), _pieces(held[file.start :]))
        return Response(_PARTIAL)
    if not shared.leads or (file.start and not (is_same and len(held) == file.start)):
        return await stream(receive)
    downloaded = [held[: file.start]]

    async def receive_and_keep(head: Response, given: AsyncIterator[bytes]) -> None:
        if head.status != _PARTIAL and file.start:
            downloaded.clear()  # the range was ignored

        async def keep() -> AsyncIterator[bytes]:
            async for piece in given:
                downloaded.append(piece)
                yield piece

        await receive(head, keep())

    response = await stream(receive_and_keep)
    body = b"".join(downloaded)
    if 200 <= response.status < 300 and file.size <= len(body) <= MAX_SHARED_LIST:
        await shared.write_file(key, body, Copy(copy.version), file.generation)
    return response


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body
