"""`python -m jobs` is the `levo` command."""

import sys

from jobs.cli import main

sys.exit(main())
