"""asyncsdk in FastAPI: dependencies, beside Starlette's `lifespan` and `FlagsMiddleware`.

    @app.get("/products/{sku}")
    async def product(sku: str, flags: Annotated[Flags, Depends(flags)]) -> ...:

They are coroutines, so that FastAPI needs no thread for them; what they give works in `async def` and `def` alike.
"""

from fastapi.requests import HTTPConnection

from asyncsdk import Client, Flags, User
from asyncsdk.integrations import starlette
from asyncsdk.integrations.starlette import FlagsMiddleware, client_of, from_header, lifespan, session_user

__all__ = [
    "FlagsMiddleware",
    "get_client",
    "client_of",
    "get_flags",
    "from_header",
    "lifespan",
    "session_user",
    "get_user",
]


async def get_client(connection: HTTPConnection) -> Client:
    """Give the application's client: `Annotated[Client, Depends(client)]`.

    Raises:
        ConfigurationError: There is no `lifespan(client)`, or the server did not run it.
    """
    return starlette.get_client(connection)


async def get_flags(connection: HTTPConnection) -> Flags:
    """Give the request's lookups, which need no `await`: `Annotated[Flags, Depends(flags)]`.

    Raises:
        ConfigurationError: There is no `FlagsMiddleware`, or no `lifespan(client)`.
    """
    return starlette.get_flags(connection)


async def get_user(connection: HTTPConnection) -> User:
    """Give the request's user, as its flags see it: `Annotated[User, Depends(user)]`.

    Raises:
        ConfigurationError: There is no `FlagsMiddleware`, or no `lifespan(client)`.
    """
    return starlette.get_user(connection)
