"""`dockmon-agent release`: makes, signs and checks releases. For maintainers; no running agent needs it."""


class ReleaseError(Exception):
    """It cannot be done; the text says why, and what to do."""
