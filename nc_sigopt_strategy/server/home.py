"""The page at ``/``."""

from __future__ import annotations

from html import escape

from starlette.responses import Response

from nc_sigopt_strategy.server.answers import API_HEADERS
from nc_sigopt_strategy.version import __version__

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}a{color:#0b57d0}"
    "code{background:#f0f0f0;padding:.1em .3em;border-radius:3px}"
    "@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}a{color:#8ab4f8}"
    "code{background:#2a2a2a}}"
)


def home_page(dashboard_url: str | None) -> Response:
    """What this server is, and where to go from here.

    Args:
        dashboard_url: Where the dashboard is; ``None`` for no link.
    """
    dashboard = (
        "<p>Nothing to look at is served here. To see the experiments, run "
        "<code>nc-sigopt dashboard</code> on the same store.</p>"
    )
    if dashboard_url:
        link = escape(dashboard_url, quote=True)
        dashboard = f'<p>See the experiments on the <a href="{link}">dashboard</a>.</p>'
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>nc-sigopt server</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>nc-sigopt server</h1>
<p>This is nc_sigopt_strategy {escape(__version__)}: a server with SigOpt's REST API for
experiments, suggestions and observations, kept in an Optuna store.</p>
<p>The API is under <code>/v1/</code> and wants a token; its description is
<a href="/openapi.json">/openapi.json</a>. Make a token with
<code>nc-sigopt token create NAME</code> and point SigOpt's Python client here:</p>
<p><code>sigopt.Connection(client_token=TOKEN, api_url=URL)</code></p>
{dashboard}
<p>How to run it, its limits and what it leaves out: <code>docs/guide/server.md</code> and
<code>docs/guide/rest_api.md</code> of the project.</p>
</main>
</body>
</html>
"""
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    headers = {**API_HEADERS, "content-security-policy": policy, "cache-control": "no-cache"}
    return Response(page, 200, headers, media_type="text/html")
