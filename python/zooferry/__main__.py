"""``python -m zooferry`` is the same as ``zooferry``."""

import sys

from zooferry.cli import main

sys.exit(main())
