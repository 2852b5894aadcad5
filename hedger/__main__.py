"""`python -m hedger` is the command `hedger`."""

import sys

from hedger.cli import main

if __name__ == "__main__":
    sys.exit(main())
