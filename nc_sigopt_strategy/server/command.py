"""What ``nc-sigopt serve`` does."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.server.addresses import listening_socket, url_host
from nc_sigopt_strategy.server.app import ACCESS_LOG, App
from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.server.running import Server
from nc_sigopt_strategy.server.tokens import TokenStore
from nc_sigopt_strategy.settings.address import is_loopback


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

    def run(self, say: Callable[[str], None], warn: Callable[[str], None]) -> None:
        """Serve until SIGTERM or SIGINT.

        Args:
            say: Prints a line to standard output.
            warn: Prints a line to standard error.

        Raises:
            SettingsError: The address, the certificate or the sampler cannot be used.
            StoreError: The store cannot be used.
        """
        if (self.certificate is None) != (self.key is None):
            raise SettingsError(
                "Of --tls-cert and --tls-key only one is given.", "Give both, or none."
            )
        tokens = TokenStore(self.storage_url)
        driver = EmbeddedDriver(
            self.storage_url,
            sampler=self.sampler,
            seed=self.seed,
            keeps_files=self.options.files is not None,
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
            server = Server(
                App(driver, tokens, self.options),
                self.options,
                certificate=self.certificate,
                key=self.key,
                on_start=lambda: say(f"Serving {url} (storage {driver.storage_url})"),
            )
            _log_to_stderr(self.options.access_log)
            server.run(sockets=[listener])
        finally:
            driver.close()
            tokens.close()


def _log_to_stderr(requests: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name in ("nc_sigopt_strategy", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.WARNING)
    ACCESS_LOG.setLevel(logging.INFO if requests else logging.WARNING)
