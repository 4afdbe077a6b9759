"""The engine for SQLite."""

from django_jobs.engines.sqlite.engine import SQLiteEngine

__all__ = ["SQLiteEngine"]
