"""`python -m tests.run.slowly.enqueue NOTES 2`: eight short jobs, a long one, a long one apart."""

from __future__ import annotations

import sys

import django

django.setup()

from e2i_site.jobs.enqueue import enqueue  # noqa: E402

LONG = [("tests.slowly", 4), ("tests.slowly_apart", 4)]
for kind, seconds in [*[("tests.slowly", 0.2)] * 8, *LONG[: int(sys.argv[2])]]:
    print(enqueue(kind, payload={"seconds": seconds, "notes": sys.argv[1]}).pk)
