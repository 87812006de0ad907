"""The files that pages are made of: style sheet, scripts, and libraries in `static/vendor`. Anybody may have them."""

from __future__ import annotations

from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

PATH = "/ops/static"


class Assets(StaticFiles):
    """The static files of this package. Browsers ask each time whether one has changed: an upgrade shows at once."""

    def __init__(self) -> None:
        super().__init__(packages=[("service", "static")])

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or that it has not changed."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
