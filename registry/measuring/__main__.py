"""The process that loads models: `python -m registry.measuring CHANNEL`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from e2i_site.core.lingering import tasks
from registry.measuring.probing import supervise

# Apart from `probing`, which children have imported already and would otherwise run once more.
if __name__ == "__main__":
    for plan in tasks(int(sys.argv[1])):
        supervise(json.loads(Path(plan).read_text()))
