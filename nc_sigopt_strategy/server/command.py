"""What ``nc-sigopt serve`` does."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.database.location import Location
from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.server.addresses import listening_socket, url_host
from nc_sigopt_strategy.server.app import ACCESS_LOG, App
from nc_sigopt_strategy.server.log_lines import LineFormatter
from nc_sigopt_strategy.server.open_files import fit_to_open_files
from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.server.running import Server
from nc_sigopt_strategy.server.tokens import TokenStore
from nc_sigopt_strategy.settings.address import is_loopback

# How long a thread that computes keeps others from running, once they ask. Each request needs
# several such turns, and with Python's own 5 ms a few threads at work make it wait for half a
# second.
_SWITCH_SECONDS = 0.0005


@dataclass(frozen=True)
class ServeCommand:
    """The options of the command.

    Attributes:
        storage_url: Database URL of the store.
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        sampler: Name of the sampler that answers suggestion requests.
        seed: Its seed.
        certificate: PEM file with the TLS certificate chain, or ``None`` for plain HTTP.
        key: PEM file with its key.
        options: Limits.
    """

    storage_url: str
    host: str
    port: int
    sampler: str
    seed: int | None
    certificate: Path | None
    key: Path | None
    options: ServerOptions

    def run(self, say: Callable[[str], None], warn: Callable[[str], None]) -> int:
        """Serve until SIGTERM or SIGINT; requests that have begun get some seconds to end.

        Args:
            say: Prints a line to standard output.
            warn: Prints a line to standard error.

        Returns:
            How many threads still wait for the store. Python would wait for them when it ends.

        Raises:
            SettingsError: The address, the certificate or the sampler cannot be used.
            StoreError: The store cannot be used.
        """
        if (self.certificate is None) != (self.key is None):
            raise SettingsError(
                "Of --tls-cert and --tls-key only one is given.", "Give both, or none."
            )
        options = fit_to_open_files(self.options, warn)
        location = Location(self.storage_url, impatient=True)
        tokens = TokenStore(location)
        driver = EmbeddedDriver(
            location,
            sampler=self.sampler,
            seed=self.seed,
            keeps_files=options.files is not None,
        )
        try:
            listener = listening_socket(self.host, self.port)
            scheme = "http" if self.certificate is None else "https"
            url = f"{scheme}://{url_host(self.host)}:{listener.getsockname()[1]}"
            if scheme == "http" and not is_loopback(self.host):
                warn(
                    f"nc-sigopt: warning: tokens and data go to {url} unencrypted, where others "
                    "on the network can read them. Give --tls-cert and --tls-key, or listen on "
                    "127.0.0.1 behind a proxy that does TLS."
                )
            if not any(not token.revoked for token in tokens.all()):
                warn(
                    "nc-sigopt: the store has no token yet, so nobody is let in. Make one with: "
                    "nc-sigopt token create NAME --storage URL"
                )
            app = App(driver, tokens, options)
            server = Server(
                app,
                options,
                certificate=self.certificate,
                key=self.key,
                on_start=lambda: say(f"Serving {url} (storage {driver.storage_url})"),
            )
            sys.setswitchinterval(_SWITCH_SECONDS)
            _log_to_stderr(options.access_log)
            server.run(sockets=[listener])
        finally:
            driver.close()
            tokens.close()
        return app.abandoned


def _log_to_stderr(requests: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    for name in ("nc_sigopt_strategy", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.WARNING)
    ACCESS_LOG.setLevel(logging.INFO if requests else logging.WARNING)
