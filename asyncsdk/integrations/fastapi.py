"""asyncsdk in FastAPI: dependencies, beside Starlette's `lifespan` and `FlagsMiddleware`.

    @app.get("/products/{sku}")
    async def product(sku: str, flags: Annotated[Flags, Depends(get_flags)]) -> ...:

The dependencies are coroutines, because FastAPI runs plain functions in a thread. Their values can be used in
`async def` and `def` handlers alike.
"""

from asyncsdk import Client, Flags, User
from asyncsdk.integrations._extras import needs_extra

with needs_extra("fastapi"):
    from fastapi.requests import HTTPConnection

    from asyncsdk.integrations import starlette
    from asyncsdk.integrations.starlette import FlagsMiddleware, client_of, from_header, lifespan, session_user

__all__ = [
    "FlagsMiddleware",
    "client_of",
    "from_header",
    "get_client",
    "get_flags",
    "get_user",
    "lifespan",
    "session_user",
]


async def get_client(connection: HTTPConnection) -> Client:
    """Return the application's client: `Annotated[Client, Depends(get_client)]`.

    Args:
        connection: The request or websocket, from FastAPI.

    Raises:
        ConfigurationError: The application has no `lifespan(client)`, or the server did not run it.
    """
    return starlette.get_client(connection)


async def get_flags(connection: HTTPConnection) -> Flags:
    """Return the request's `Flags`, lookups without `await`: `Annotated[Flags, Depends(get_flags)]`.

    Args:
        connection: The request or websocket, from FastAPI.

    Raises:
        ConfigurationError: The application has no `FlagsMiddleware`, or no `lifespan(client)`.
    """
    return starlette.get_flags(connection)


async def get_user(connection: HTTPConnection) -> User:
    """Return the user of the request's flags: `Annotated[User, Depends(get_user)]`.

    Args:
        connection: The request or websocket, from FastAPI.

    Raises:
        ConfigurationError: The application has no `FlagsMiddleware`, or no `lifespan(client)`.
    """
    return starlette.get_user(connection)
