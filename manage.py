#!/usr/bin/env python
"""Django's command-line utility, with one clear line for configuration errors."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "e2i_site.settings")
    from django.core.management import execute_from_command_line

    from e2i_site.core.errors import ConfigurationError

    try:
        execute_from_command_line(sys.argv)
    except ConfigurationError as error:
        sys.exit(_fail(str(error)))


def _fail(message: str) -> int:
    sys.stderr.write(f"e2i: {message}\n")
    return 2


if __name__ == "__main__":
    main()
