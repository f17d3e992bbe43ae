"""Validators of what rows of every sort hold: the pure rules, as Django asks for them."""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from rows import bounds


def check_line(text: str) -> None:
    if bounds.UNPRINTABLE.search(text):
        raise ValidationError(_("This is one line of text without control or invisible characters."))


def check_lines(words: object) -> None:
    """What is wrong with a word is said before what is wrong with the list, which people may have typed another way."""
    for word in words if isinstance(words, list) else ():
        if isinstance(word, str):
            check_line(word)


def check_words(words: object) -> None:
    check_lines(words)
    if not bounds.are_words(words):
        raise ValidationError(_("This is a JSON list of words, each once."))


def check_json_object(value: object) -> None:
    if not bounds.is_json_object(value):
        raise ValidationError(
            _("This is a JSON object such as {}, with finite numbers and at most %(levels)d levels.")
            % {"levels": bounds.DEEPEST}
        )
