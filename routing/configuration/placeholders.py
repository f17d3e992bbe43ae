"""Keys out of examples. Pure."""

PLACEHOLDERS = frozenset(
    {"your-api-key-here", "your-api-key", "changeme", "change-me", "api-key", "test-key", "password", "sk-your-key"}
)
"""Keys that stand in examples: whoever has read one knows them."""
