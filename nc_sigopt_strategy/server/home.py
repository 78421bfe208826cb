"""The pages for people: what this server is, and, behind a token, its experiments.

They are static. The script asks the API as any client does, with the token that is typed in, which
stays in the browser's tab.
"""

from __future__ import annotations

from html import escape
from importlib import resources
from pathlib import PurePath

from starlette.responses import Response

from nc_sigopt_strategy.server.answers import API_HEADERS
from nc_sigopt_strategy.version import __version__

# Nothing comes from elsewhere, nothing is sent elsewhere, and nobody frames it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_PARTS = ("page.css", "page.js", "parts.js", "run.js")


def pages(dashboard_url: str | None) -> dict[str, Response]:
    """Path to what is answered there.

    Args:
        dashboard_url: Where the dashboard is; ``None`` for no link.
    """
    dashboard = ""
    if dashboard_url:
        link = escape(dashboard_url, quote=True)
        dashboard = f'<p>Optuna\'s view of the store: the <a href="{link}">dashboard</a>.</p>'
    values = {"version": escape(__version__), "dashboard": dashboard}
    return {
        "/": _response("page.html", values),
        **{f"/{name}": _response(name) for name in _PARTS},
    }


def _response(name: str, values: dict[str, str] | None = None) -> Response:
    text = (resources.files(__package__) / "page" / name).read_text("utf-8")
    for key, value in (values or {}).items():
        text = text.replace(f"{{{{{key}}}}}", value)
    headers = {**API_HEADERS, "content-security-policy": _POLICY, "cache-control": "no-cache"}
    return Response(text, 200, headers, media_type=_TYPES[PurePath(name).suffix])
