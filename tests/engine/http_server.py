"""An ``EmbeddedDriver`` behind our real server, for testing the client's HTTP driver."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server.app import App
from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.server.tokens import WRITE
from tests.server.serving import FixedTokens, run_app

_OPTIONS = ServerOptions(writes_per_second=0, reads_per_second=0, access_log=False)


@contextlib.contextmanager
def serve_driver(
    driver: EmbeddedDriver,
    token: str = "embedded",
    *,
    fail_with: int | None = None,
    html: bool = False,
) -> Iterator[str]:
    """Serve a driver on a free port of this machine until the block ends.

    Args:
        driver: Who answers.
        token: The only token that is let in.
        fail_with: Answer every request with this status.
        html: Answer every request with status 200 and a web page.

    Yields:
        The URL to give the client as ``api_url``.
    """
    app: ASGIApp = App(driver, FixedTokens({token: WRITE}), _OPTIONS)
    if html:
        app = _Instead(app, HTMLResponse("<html><body>Welcome</body></html>"))
    elif fail_with is not None:
        document = {"message": f"made to fail with {fail_with}", "status": fail_with}
        app = _Instead(app, JSONResponse(document, fail_with))
    with run_app(app, _OPTIONS) as url:
        yield url


class _Instead:
    """Gives one and the same answer to every request."""

    def __init__(self, app: ASGIApp, response: Response) -> None:
        self._app = app
        self._response = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._response(scope, receive, send)
        else:
            await self._app(scope, receive, send)
