"""`python -m hedger` is the command `hedger`."""

import sys


def main() -> int:
    """As `hedger.cli.main`, and orderly where the interrupt comes while that is still being imported."""
    try:
        from hedger.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("INTERRUPTED: stopped by the user; nothing was started", file=sys.stderr)
        return 130  # Exit.INTERRUPTED, without an import


if __name__ == "__main__":
    sys.exit(main())
