"""`python -m tests.run.slowly.enqueue NOTES`: eight short jobs, a long one, a long one apart."""

from __future__ import annotations

import sys

import django

django.setup()

from e2i_site.jobs.enqueue import enqueue  # noqa: E402

for kind, seconds in [*[("tests.slowly", 0.2)] * 8, ("tests.slowly", 4), ("tests.slowly_apart", 4)]:
    print(enqueue(kind, payload={"seconds": seconds, "notes": sys.argv[1]}).pk)
