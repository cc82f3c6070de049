"""Becomes `__main__.py` of the one file. Written so that any Python can say that it is too old."""

import sys

if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever is asked to run it may be older
        sys.exit(
            "dockmon-agent: this takes Python 3.11 or newer, and this is " + sys.version.split()[0]
        )

    from pathlib import Path

    from agent.installer.main import main

    main(Path(sys.path[0]).resolve())
