"""Where migrations find validators of rows about clients."""

from rows.validation import check_json_object, check_line, check_words

__all__ = ["check_json_object", "check_line", "check_words"]
