"""``python -m solvers.cli``, the same as ``gatefield``."""

import sys

from solvers.cli.main import main

sys.exit(main())
