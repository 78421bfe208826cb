"""API tokens: who may use the server. Only their digests are stored."""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import delete, insert, or_, select, update

from nc_sigopt_strategy.engine.database.idle_connections import check_idle_connections
from nc_sigopt_strategy.engine.database.location import Location
from nc_sigopt_strategy.errors import SettingsError, StoreError
from nc_sigopt_strategy.server.sharing import Share
from nc_sigopt_strategy.server.token_tables import GUESTS, MAX_NAME_LENGTH, METADATA, TOKENS

READ, WRITE = "read", "write"
SCOPES = (READ, WRITE)
# 256 bits: beyond guessing, so that a plain digest is enough and no slow password hash is needed.
TOKEN_BYTES = 32
# ``last_used`` is written at most this often per token: it is for finding tokens nobody uses.
LAST_USED_SECONDS = 600

# Two servers that open one new database at the same moment both try to create the table; the one
# that failed finds it there when it tries again.
_ATTEMPTS = 5

_Result = TypeVar("_Result")

# What guest tokens are called, which nobody names.
_GUEST = re.compile(r"guest-([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True)
class Token:
    """What is known about a token; not the token itself.

    Attributes:
        id: Its number. All guests of one token share the negative of its number: what they ask
            for counts together.
        name: What its owner is called in the log.
        scope: ``"read"`` (GET only) or ``"write"``.
        created: Unix time in seconds.
        last_used: Unix time, up to ``LAST_USED_SECONDS`` late; ``None`` if never.
        revoked: Whether it has stopped being let in.
        share: What a guest token is for; ``None`` for one that sees all.
        expires: Until when it is let in, in unix seconds; ``None`` for ever.
    """

    id: int
    name: str
    scope: str
    created: int
    last_used: int | None = None
    revoked: bool = False
    share: Share | None = None
    expires: int | None = None


def digest_of(token: str) -> str:
    """The SHA-256 of a token, in hexadecimal.

    Looking a digest up in an index leaks through its timing at most how digests begin, from
    which no token follows.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class TokenStore:
    """The table of tokens, in the same database as the experiments. Threads may share it.

    Args:
        storage: Database URL, or the parsed one that it shares with an engine.

    Raises:
        StoreError: The database cannot be opened, or lives in memory only.
    """

    def __init__(self, storage: str | Location) -> None:
        self._location = Location(storage) if isinstance(storage, str) else storage
        if self._location.is_sqlite and self._location.path is None:
            raise StoreError(
                "A store in memory cannot hold tokens: no other process sees it.",
                "Name a file, such as sqlite:///experiments.db, or a PostgreSQL database.",
            )
        self._location.prepare()
        options: dict[str, Any] = {"pool_size": 2}
        if self._location.is_sqlite:
            options["creator"] = self._location.connect
        else:
            options["connect_args"] = self._location.connect_args
        try:
            self._engine = sqlalchemy.create_engine(self._location.url, **options)
        except ImportError as error:
            raise StoreError(
                f"The driver for the store {self._location.display} is not installed: {error}",
                self._location.driver_hint,
            ) from error
        self._location.guard(self._engine)
        if not self._location.is_sqlite:
            check_idle_connections(self._engine)
        self._create_table()
        self._check = self._location.watch()

    def _create_table(self) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                METADATA.create_all(self._engine)
                return
            except sqlalchemy.exc.SQLAlchemyError as error:
                if attempt == _ATTEMPTS or self._location.is_hopeless(error):
                    raise self._location.explain(error) from error
                time.sleep(random.uniform(0.05, 0.2) * attempt)

    def create(self, name: str, scope: str = WRITE) -> str:
        """Make a token.

        Args:
            name: 1 to 100 characters, unique in the store.
            scope: One of ``SCOPES``.

        Returns:
            The token. It is stored nowhere: whoever loses it makes another one.

        Raises:
            SettingsError: The name is taken or unusable, or there is no such scope.
        """
        with self.handing_out(name, scope) as token:
            return token

    @contextlib.contextmanager
    def handing_out(self, name: str, scope: str = WRITE) -> Iterator[str]:
        """A new token, which is let in once the block has ended well; see ``create``.

        The block hands it to its owner. Where that fails the token is forgotten, and if the
        process is killed meanwhile it stays a revoked one: there is never one that is let in and
        that nobody holds.
        """
        if scope not in SCOPES:
            raise SettingsError(f"The scope is {scope!r}.", "Choose read or write.")
        if not 1 <= len(name) <= MAX_NAME_LENGTH or not name.isprintable() or name.isdigit():
            raise SettingsError(
                f"The name is {name!r}.",
                f"Give 1 to {MAX_NAME_LENGTH} printable characters, not only digits.",
            )
        if _GUEST.fullmatch(name):
            raise SettingsError(
                f"The name is {name!r}.", "Choose another one: guest tokens are called so."
            )
        token = secrets.token_urlsafe(TOKEN_BYTES)
        row = {
            "name": name,
            "digest": digest_of(token),
            "scope": scope,
            "created": int(time.time()),
            "revoked": True,
        }
        try:
            self._write(insert(TOKENS).values(**row))
        except sqlalchemy.exc.IntegrityError:
            # Its text would show the row, and with it the digest.
            raise SettingsError(
                f"There is a token {name!r} already.", "Choose another name."
            ) from None
        this = TOKENS.c.digest == row["digest"]
        try:
            yield token
        except BaseException:
            self._write(delete(TOKENS).where(this))
            raise
        self._write(update(TOKENS).where(this).values(revoked=False))

    def all(self) -> list[Token]:
        """All tokens, oldest first, revoked ones included."""
        return self._select(select(*_SHOWN).order_by(TOKENS.c.id))

    def find(self, digest: str) -> Token | None:
        """The token with this digest, revoked or not; ``None`` if there never was one."""
        found = self._select(select(*_SHOWN).where(TOKENS.c.digest == digest))
        found = found or self._select_guests(GUESTS.c.digest == digest)
        return found[0] if found else None

    def share(self, share: Share, by: Token, expires: int) -> str:
        """Make a guest token.

        It is let in until it expires, or it or the token that made it is revoked.

        Args:
            share: What it is for.
            by: The token of who makes it.
            expires: Unix time in seconds.

        Returns:
            The token. It is stored nowhere.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now = int(time.time())
        row = {
            "digest": digest_of(token),
            "made_by": by.id,
            "experiment": share.experiment,
            "training_run": share.training_run,
            "created": now,
            "expires": expires,
            "revoked": False,
        }
        self._write(delete(GUESTS).where(GUESTS.c.expires < now))
        self._write(insert(GUESTS).values(**row))
        return token

    def guests(self) -> list[Token]:
        """All guest tokens that have not expired, oldest first, revoked ones included."""
        return self._select_guests(GUESTS.c.expires >= int(time.time()))

    def revoke(self, id_or_name: str) -> Token:
        """Let a token in no more.

        Returns:
            The token, now revoked. Revoking it again changes nothing.

        Raises:
            SettingsError: There is no such token.
        """
        guest = _GUEST.fullmatch(id_or_name)
        if guest is not None:
            return self._revoke_guest(int(guest[1]), id_or_name)
        column: Any = TOKENS.c.name
        wanted: str | int = id_or_name
        if id_or_name.isascii() and id_or_name.isdigit() and int(id_or_name) < 2**31:
            column, wanted = TOKENS.c.id, int(id_or_name)
        self._write(update(TOKENS).where(column == wanted).values(revoked=True))
        return _only(self._select(select(*_SHOWN).where(column == wanted)), id_or_name)

    def _revoke_guest(self, number: int, name: str) -> Token:
        self._write(update(GUESTS).where(GUESTS.c.id == number).values(revoked=True))
        return _only(self._select_guests(GUESTS.c.id == number), name)

    def touch(self, token: Token, now: int) -> None:
        """Remember that a token was used."""
        self._write(update(TOKENS).where(TOKENS.c.id == token.id).values(last_used=now))

    def close(self) -> None:
        """Close the database connections."""
        self._engine.dispose()

    def _select(self, statement: Any) -> list[Token]:
        return [Token(*row) for row in self._rows(statement)]

    def _select_guests(self, which: Any) -> list[Token]:
        # With its maker a guest token goes.
        revoked = or_(GUESTS.c.revoked, TOKENS.c.revoked)
        statement = (
            select(GUESTS, revoked.label("is_revoked"))
            .join(TOKENS, TOKENS.c.id == GUESTS.c.made_by)
            .where(which)
            .order_by(GUESTS.c.id)
        )
        return [
            Token(
                id=-row.made_by,
                name=f"guest-{row.id}",
                scope=READ,
                created=row.created,
                revoked=bool(row.is_revoked),
                share=Share(row.experiment, row.training_run),
                expires=row.expires,
            )
            for row in self._rows(statement)
        ]

    def _rows(self, statement: Any) -> list[Any]:
        def read() -> list[Any]:
            with self._engine.connect() as connection:
                return list(connection.execute(statement))

        return self._explained(read)

    def _write(self, statement: Any) -> None:
        def write() -> None:
            with self._engine.begin() as connection:
                connection.execute(statement)

        self._explained(write)

    def _explained(self, work: Callable[[], _Result]) -> _Result:
        self._check()
        try:
            return work()
        except sqlalchemy.exc.IntegrityError:
            raise
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise self._location.explain(error) from error


_SHOWN = (
    TOKENS.c.id,
    TOKENS.c.name,
    TOKENS.c.scope,
    TOKENS.c.created,
    TOKENS.c.last_used,
    TOKENS.c.revoked,
)


def _only(found: list[Token], id_or_name: str) -> Token:
    if not found:
        raise SettingsError(
            f"There is no token {id_or_name!r}.", "See nc-sigopt token list for those there."
        )
    return found[0]
