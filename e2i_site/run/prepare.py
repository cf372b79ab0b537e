"""`python -m e2i_site.run.prepare`: database and static files, made ready before the start.

Ends with status 2 and one line when the database cannot be used.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.migrations.exceptions import InconsistentMigrationHistory

from e2i_site.core.errors import ConfigurationError
from e2i_site.run import problems

CHECK_SECONDS = 5


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "e2i_site.settings")
    try:
        django.setup()
        check_database()
        migrate()
        collect_static_files()
    except (ConfigurationError, ImproperlyConfigured) as error:
        print(f"e2i: {error}")
        return 2
    return 0


def check_database() -> None:
    """Raise ConfigurationError unless the database can be opened and written."""
    sqlite = connection.vendor == "sqlite"
    connection.settings_dict["OPTIONS"]["timeout" if sqlite else "connect_timeout"] = CHECK_SECONDS
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("CREATE TABLE e2i_write_check (id integer)")
            transaction.set_rollback(True)
    except DatabaseError as error:
        raise ConfigurationError(problems.describe(error)) from None
    finally:
        connection.close()


def migrate() -> None:
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except InconsistentMigrationHistory as error:
        raise ConfigurationError(f"{problems.place()} belongs to something else: {error}") from None
    except DatabaseError as error:
        raise ConfigurationError(problems.describe(error)) from None


def collect_static_files() -> None:
    """Collect them, unless they are those of the last time."""
    from django.conf import settings

    mark = Path(settings.STATIC_ROOT) / ".fingerprint"
    fingerprint = _fingerprint()
    if mark.exists() and mark.read_text() == fingerprint:
        return
    call_command("collectstatic", verbosity=0, interactive=False, clear=True)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(fingerprint)


def _fingerprint() -> str:
    return hashlib.sha256("\n".join(sorted(_static_files())).encode()).hexdigest()


def _static_files() -> Iterator[str]:
    """Path, size and time of every file that would be collected."""
    from django.contrib.staticfiles.finders import get_finders

    for finder in get_finders():
        for path, storage in finder.list([]):
            stat = Path(storage.path(path)).stat()
            yield f"{path} {stat.st_size} {stat.st_mtime_ns}"


if __name__ == "__main__":
    sys.exit(main())
