"""The native installation: what `python3 dockmon-agent-VERSION-linux-ARCH.pyz` runs. Standard library only.

It travels in the one file, beside launcher, release and keys, and is no part of what it installs.
"""


class InstallError(Exception):
    """It cannot be done, and nothing was changed that matters; the text says why, and what to do."""
