"""The options of adapters in forms: which there are, and that there are no others."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from providers.adapter_options import COMMON, Option
from providers.adapters import REGISTRY, options_of
from providers.models import Deployment, Provider
from providers.validation import check_options


def tell_options(form: Any, kind: str, *, of_model: bool = False) -> None:
    """In the help of the field; without a kind those of all."""
    if (field := form.fields.get("options")) is not None:
        field.help_text = _of_kind(kind, of_model=of_model) if kind in REGISTRY else _of_all(of_model=of_model)


def check_options_of(form: Any, kind: str, *, of_model: bool = False) -> None:
    """For a form's `clean`. A row of before they were checked may be changed elsewhere: what is stored, and not what the
    browser says it was, tells whether they are new."""
    options = form.cleaned_data.get("options")
    if options is None or (
        form.instance.pk is not None and options == form.instance.options and _is(form.instance, kind)
    ):
        return
    try:
        check_options(kind, options, of_model=of_model)
    except ValidationError as refused:
        form.add_error("options", refused)


def _is(row: Provider | Deployment, kind: str) -> bool:
    return kind == (row.kind if isinstance(row, Provider) else row.provider.kind)


def _of_kind(kind: str, *, of_model: bool) -> SafeString:
    declared = options_of(kind, of_model=of_model)
    if not declared:
        return format_html("{}", _("A JSON object. This kind has no options of a model."))
    return format_html("{} {}", _("A JSON object. This kind has the options"), _names(declared))


def _of_all(*, of_model: bool) -> SafeString:
    kinds = [(kind, [each for each in REGISTRY[kind].own_options if _has(each, of_model)]) for kind in sorted(REGISTRY)]
    every = [each for each in COMMON if _has(each, of_model)]
    lines = [(kind, _names(own)) for kind, own in kinds if own]
    known = format_html_join("; ", "{}: {}", [*lines, *([(_("every kind"), _names(every))] if every else [])])
    return format_html("{} {}", _("A JSON object. The options of each kind:"), known)


def _has(option: Option, of_model: bool) -> bool:
    return option.of_model if of_model else option.of_provider


def _names(declared: Iterable[Option]) -> SafeString:
    """What each is, for whoever points at it, in the words of docs/configuration.md, or in the reader's language."""
    return format_html_join(
        ", ",
        '<code title="{} ({})">{}</code>',
        [(_(each.meaning), _(each.rule.label), each.name) for each in declared],
    )
