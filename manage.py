#!/usr/bin/env python
"""Django's command-line utility, with one clear line where configuration or database is at fault.

--traceback shows the whole error.
"""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "e2i_site.settings")
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError

    from e2i_site.core.errors import ConfigurationError

    try:
        execute_from_command_line(sys.argv)
    except ConfigurationError as error:
        sys.exit(_fail(str(error)))
    except DatabaseError as error:
        from e2i_site.run import problems

        if "--traceback" in sys.argv or not problems.is_about_the_database(error):
            raise
        sys.exit(_fail(problems.describe(error)))


def _fail(message: str) -> int:
    sys.stderr.write(f"e2i: {message}\n")
    return 2


if __name__ == "__main__":
    main()
