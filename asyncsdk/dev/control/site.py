"""What a browser and the commands see of the dev server: the guard, the control API, and the page."""

from collections.abc import Awaitable, Callable

import attrs
from aiohttp import web

from asyncsdk.dev.control.page import data_of
from asyncsdk.dev.control.router import PREFIX, Router, respond
from asyncsdk.dev.guard import Guard


@attrs.frozen(eq=False)
class Site:
    """Answers the requests that are not for a vendor, and refuses those of foreign pages.

    Attributes:
        guard: Decides who may use the server.
        router: The control API.
    """

    guard: Guard
    router: Router

    async def handle(
        self, request: web.Request, vendors: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer a request.

        Args:
            request: The request.
            vendors: Answers the requests that are not for the control API.
        """
        origin = request.headers.get("Origin")
        data = data_of(request.path)
        is_control = request.path.startswith(PREFIX) or data is not None
        fault = self.guard.fault(request.headers.get("Host"), origin, is_control=is_control)
        if fault:
            return respond({"error": fault}, 403)
        if origin is not None and request.method == "OPTIONS":
            wanted = request.headers.get("Access-Control-Request-Headers", "")
            return web.Response(status=204, headers=self.guard.preflight(origin, wanted))
        if is_control:
            path = data if data is not None else request.rel_url.raw_path.removeprefix(PREFIX)
            response = await self.router.handle(request, path)
        else:
            response = await vendors(request)
        if not response.prepared:
            response.headers.update(self.guard.headers(origin, is_control=is_control))
        return response
