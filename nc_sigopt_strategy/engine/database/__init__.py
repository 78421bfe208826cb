"""The tables: Optuna's and ours, in SQLite or PostgreSQL; the engine's only SQL."""
