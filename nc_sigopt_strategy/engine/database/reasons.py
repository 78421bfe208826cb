"""What databases say when something is wrong, and what that means to a user."""

from __future__ import annotations

from nc_sigopt_strategy.errors import StoreAwayError, StoreBusyError, StoreError

# Its sign, what it means, the way out, the kind of error.
Reason = tuple[str, str, str, type[StoreError]]

# ``{store}`` is where the store is.
SQLITE_REASONS: tuple[Reason, ...] = (
    (
        "file is not a database",
        "{store} is not a database.",
        "Name another file, or move that one away: it is left as it was.",
        StoreError,
    ),
    (
        "disk is full",
        "The store {store} cannot be written: the disk is full.",
        "Free some space and continue the experiment: what was observed is kept.",
        StoreError,
    ),
    (
        "unable to open",
        "The store {store} cannot be opened or created.",
        "Check that its folder can be written, or name another file.",
        StoreError,
    ),
    (
        "readonly",
        "The store {store} cannot be written: it is read-only.",
        "Make the file and its folder writable, or name another file.",
        StoreError,
    ),
    (
        "locked",
        "The store {store} has been locked by another process for {busy:.0f} s.",
        "Wait for that process or end it, or name another file.",
        StoreBusyError,
    ),
    (
        "malformed",
        "The store {store} is damaged.",
        "Restore it from a copy, or name another file.",
        StoreError,
    ),
)

# PostgreSQL's, or its driver's.
POSTGRESQL_REASONS: tuple[Reason, ...] = (
    (
        "password authentication failed",
        "The database server refuses the password of user {user} for the store {store}.",
        "Correct the password in the storage URL.",
        StoreError,
    ),
    (
        "no password supplied",
        "The database server asks for a password, and the storage URL {store} has none.",
        "Write it as postgresql://user:password@host/database.",
        StoreError,
    ),
    (
        "pg_hba.conf",
        "The database server does not let user {user} in for the store {store}.",
        "Let the server's pg_hba.conf allow it.",
        StoreError,
    ),
    (
        'FATAL: database "',
        "The store {store} cannot be opened: there is no database {database}.",
        "Create it with: createdb {database}, or correct the storage URL.",
        StoreError,
    ),
    (
        "onnection refused",
        "No database server answers for the store {store}: connection refused.",
        "Start it, or correct host and port in the storage URL.",
        StoreAwayError,
    ),
    (
        "failed to resolve host",
        "The host of the store {store} is not known.",
        "Correct the host in the storage URL.",
        StoreError,
    ),
    (
        "Name or service not known",
        "The host of the store {store} is not known.",
        "Correct the host in the storage URL.",
        StoreError,
    ),
    (
        "timeout expired",
        "The database server of the store {store} does not answer.",
        "Check that host and port in the storage URL are right and can be reached.",
        StoreAwayError,
    ),
    (
        "the database system is",
        "The database server of the store {store} is starting or stopping.",
        "Try again when it is up: what was observed is kept.",
        StoreAwayError,
    ),
    (
        "server closed the connection",
        "The database server of the store {store} has closed the connection.",
        "Check that it is up and try again: what was observed is kept.",
        StoreAwayError,
    ),
    (
        "due to lock timeout",
        "The store {store} has been locked by another process for {lock} s.",
        "Wait for that process or end it.",
        StoreBusyError,
    ),
    (
        "due to statement timeout",
        "The database server of the store {store} has worked on a statement for {statement} s.",
        "Look what keeps it busy.",
        StoreBusyError,
    ),
    (
        "terminating connection",
        "The database server of the store {store} has closed the connection.",
        "Check that it is up and try again: what was observed is kept.",
        StoreAwayError,
    ),
    (
        "the connection is lost",
        "The database server of the store {store} has closed the connection.",
        "Check that it is up and try again: what was observed is kept.",
        StoreAwayError,
    ),
    (
        "too many clients",
        "The database server of the store {store} takes no more connections.",
        "End other clients, or raise max_connections of the server.",
        StoreAwayError,
    ),
    (
        "ermission denied",
        "User {user} may not write to the store {store}.",
        "Grant the right to create tables, or name the owner of the database in the URL.",
        StoreError,
    ),
)
# What the next attempt would say again.
POSTGRESQL_HOPELESS = (
    "password authentication failed", "no password supplied", "pg_hba.conf",
    'database "', 'role "', "failed to resolve host",
    "Name or service not known",
)  # fmt: skip
