"""``python -m benchmarks``: see the package."""

import sys

from benchmarks.command import main

sys.exit(main())
