"""Copied to ROOT/launcher/__main__.py of an installation, with `agent/launcher` under ROOT/launcher/agent.

`python3 -I -S -B ROOT/launcher` runs it, with ROOT/launcher first in `sys.path`.
"""

from agent.launcher.main import main

if __name__ == "__main__":
    main(__file__)
