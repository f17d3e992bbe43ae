"""Moments as the dashboard writes them, with their zone."""

DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "Y-m-d H:i T"
