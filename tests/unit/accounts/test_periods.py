from datetime import UTC, datetime

import pytest

from accounts.periods import period_of


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("kind", "moment", "period", "ends"),
    [
        ("day", "2026-07-31T23:59:59.999999", "2026-07-31", "2026-08-01T00:00:00"),
        ("day", "2026-08-01T00:00:00", "2026-08-01", "2026-08-02T00:00:00"),
        ("month", "2026-07-31T23:59:59.999999", "2026-07", "2026-08-01T00:00:00"),
        ("month", "2026-12-01T00:00:00", "2026-12", "2027-01-01T00:00:00"),
        ("month", "2028-02-29T12:00:00", "2028-02", "2028-03-01T00:00:00"),
    ],
)
def test_a_moment_belongs_to_one_period(kind, moment, period, ends):
    assert period_of(kind, at(moment)) == (period, at(ends))
