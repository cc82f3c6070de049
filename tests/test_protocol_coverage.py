"""Every row of the wire is proved end to end, and the page that says so is fresh."""

from __future__ import annotations

import protocol_coverage


def test_every_row_is_covered() -> None:
    """Each row of the protocol has a test that sends it from the server to a real engine and back."""
    covered = {row for row, _ in protocol_coverage.covering()}
    known = [row for rows in protocol_coverage.ROWS.values() for row in rows]
    assert [row for row in known if row not in covered] == []


def test_every_mark_is_a_row() -> None:
    """A test that claims to cover what no row says would be missing from the page."""
    known = {row for rows in protocol_coverage.ROWS.values() for row in rows}
    assert [claim for claim in protocol_coverage.covering() if claim[0] not in known] == []


def test_the_page_is_fresh() -> None:
    """docs/reference/protocol-coverage.md says what the marks say now."""
    page = protocol_coverage.PAGE
    assert page.exists()
    assert page.read_text("utf-8") == protocol_coverage.page(), "stale: run `make docs`"
