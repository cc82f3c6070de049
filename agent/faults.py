"""Where a test may end the process: nowhere, in production."""


def fault(name: str) -> None:
    """Marks a moment at which a kill must do no harm. Tests put another file in the place of this one."""
