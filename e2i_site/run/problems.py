"""What people are told when the database cannot be used."""

from __future__ import annotations

from django.db import DatabaseError, OperationalError, ProgrammingError, connection

HINTS = {
    "locked": "Another process holds it; end that one, or try again.",
    "not a database": "The file is something else; name another in DATABASE_URL.",
    "no such table": "Run python manage.py migrate.",
    "does not exist": "Run python manage.py migrate, or check DATABASE_URL.",
    "readonly": "Make the file and its folder writable.",
}


def is_about_the_database(error: DatabaseError) -> bool:
    """True when the database is away, wrong or not migrated, rather than asked wrongly."""
    missing = isinstance(error, ProgrammingError) and "does not exist" in str(error)
    return isinstance(error, OperationalError) or missing or "not a database" in str(error)


def describe(error: DatabaseError) -> str:
    """One line: which database, what is wrong, what to do. No password."""
    reason = str(error).strip().splitlines()[0].rstrip(".")
    hint = next((hint for sign, hint in HINTS.items() if sign in reason), "Check DATABASE_URL.")
    return f"The database {place()} cannot be used: {reason}. {hint}"


def place() -> str:
    """Which database, without its password."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return str(given["NAME"])
    return f"{given['NAME']} at {given['HOST'] or 'a local socket'}:{given['PORT'] or 5432}"
