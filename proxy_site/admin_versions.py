"""Of two people with one page open, the second to save is told what the first has changed; until now it was undone.

A page carries a hash of the row as it was shown, its inline rows included. When what is stored is something else by the time
the form is sent, nothing is saved: what was typed stays in the form, beside what is stored now, and may be saved then. In
lists with fields to edit each field carries what it held. A form without either is saved as it is: revisions are restored so.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import display_for_value
from django.core.exceptions import NON_FIELD_ERRORS, BadRequest, ValidationError
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.choices import flatten_choices
from django.utils.crypto import salted_hmac
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from proxy_site import entity_tags
from rows.admin_pages import asked_again

SEEN = "seen_version"
CHANGED = "changed_meanwhile"
WITHOUT_PEOPLE = entity_tags.WITHOUT_PEOPLE | {"last_login", "last_run_at", "total_run_count", "date_changed"}
"""Columns that change while nobody changes anything."""
LONGEST_SHOWN = 200
MOST_DIGITS = 18
NUMBER = re.compile(rf"[0-9]{{1,{MOST_DIGITS}}}")
UNTYPED = ("_FORMS", "-id", "-page", "__year", "__month", "__day")
NO_ROW = "0"


def version(rows: Iterable[Model]) -> str:
    """The same for the same content; nothing can be guessed from it, as rows may hold secrets."""
    text = json.dumps([_content(row) for row in rows], default=str, sort_keys=True)
    return salted_hmac("proxy_site.admin_versions", text).hexdigest()


def _content(row: Model) -> dict[str, Any]:
    found = {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields
        if field.name not in WITHOUT_PEOPLE
    }
    several = {
        field.name: sorted(each.pk for each in getattr(row, field.name).all()) for field in row._meta.many_to_many
    }
    return {**found, **several}


class FirstCome:
    """For the admin page of any model."""

    change_form_before_template = "admin/seen_version.html"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change=change, **options)  # type: ignore[misc]
        form = type(form.__name__, (_NumberedChoices, form), {})
        if obj is None or not change:
            return form
        return type(form.__name__, (_Seen, form), {"present": version([obj, *self._inline_rows(request, obj)])})

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """A moment is two inputs, and its label belongs to neither: each says by itself which moment it is a part of."""
        field = super().formfield_for_dbfield(db_field, request, **options)  # type: ignore[misc]
        if isinstance(field, forms.SplitDateTimeField):
            for each in field.widget.widgets:
                each.attrs["aria-label"] = f"{capfirst(field.label)}: {each.attrs['placeholder']}"
        return field

    def history_view(self, request: HttpRequest, object_id: str, *args: Any, **options: Any) -> Any:
        """The library asks the database for what is no number of a row."""
        if not NUMBER.fullmatch(object_id):
            raise Http404
        return super().history_view(request, object_id, *args, **options)  # type: ignore[misc]

    def set_history_delta_changes(self, request: HttpRequest, historical_records: Any, *args: Any) -> None:
        super().set_history_delta_changes(request, historical_records, *args)  # type: ignore[misc]
        for record in historical_records:
            # The template shows it as it is, which is None in every language.
            record.history_change_reason = record.history_change_reason or "–"

    @asked_again
    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        _refuse_numbers(request)
        return super().changeform_view(request, *args, **options)  # type: ignore[misc]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        _refuse_numbers(request)
        # A window's title is what its heading says, not "Select provider to change".
        title = capfirst(self.model._meta.verbose_name_plural)  # type: ignore[attr-defined]
        return super().changelist_view(request, {"title": title, **(extra_context or {})})  # type: ignore[misc]

    def _inline_rows(self, request: HttpRequest, obj: Any) -> Iterator[Model]:
        for inline in self.get_inline_instances(request, obj):  # type: ignore[attr-defined]
            formset = inline.get_formset(request, obj)
            yield from inline.model._default_manager.filter(**{formset.fk.name: obj}).order_by("pk")

    def get_changelist_form(self, request: HttpRequest, **options: Any) -> Any:
        form = super().get_changelist_form(request, **options)  # type: ignore[misc]
        return type(form.__name__, (_Listed, form), {})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        form = context["adminform"].form
        if form.has_error(NON_FIELD_ERRORS, CHANGED):
            formsets = [each.formset for each in context["inline_admin_formsets"]]
            context = {
                **context,
                "differences": list(_differences(form, formsets)),
                "last_change": _last(form.instance),
            }
        answer: HttpResponse = super().render_change_form(request, context, *args, **options)  # type: ignore[misc]
        return answer


def _refuse_numbers(request: HttpRequest) -> None:
    """What nobody types, such as how many rows a page has, has no field to complain at; Django fails of large ones."""
    if not all(NUMBER.fullmatch(each) for each in request.POST.getlist(ACTION_CHECKBOX_NAME)):
        raise BadRequest(ACTION_CHECKBOX_NAME)
    for sent in (request.GET, request.POST):
        for name in sent:
            if name.endswith(UNTYPED) and any(
                len(value) > MOST_DIGITS or not value.isascii() for value in sent.getlist(name)
            ):
                raise BadRequest(name)


class _NumberedChoices(forms.ModelForm):  # type: ignore[type-arg]
    """What is no number of a row is no choice. Django asks the database for it, which fails of a number that is too large,
    and again when the form is shown with what was wrong."""

    def full_clean(self) -> None:
        for name, field in self.fields.items() if self.is_bound else ():
            if isinstance(field, forms.ModelChoiceField):
                self._take_numbers(self.add_prefix(name), field)
        super().full_clean()

    def _take_numbers(self, name: str, field: Any) -> None:
        sent = field.widget.value_from_datadict(self.data, self.files, name)
        given = sent if isinstance(sent, list) else [sent]
        numbers = [NO_ROW if each and not NUMBER.fullmatch(str(each)) else each for each in given]
        if numbers != given:
            data: Any = self.data
            self.data = data = data.copy()
            data.setlist(name, numbers)


class _Seen(forms.ModelForm):  # type: ignore[type-arg]
    present = ""
    """The version of what is stored now, behind the row's lock where a form was sent."""

    def clean(self) -> Any:
        if self.data.get(SEEN, self.present) != self.present:
            words = _("Somebody else has changed this since you opened the page, so that nothing was saved.")
            self.add_error(None, ValidationError(words, code=CHANGED))
        return super().clean()


class _Listed(forms.ModelForm):  # type: ignore[type-arg]
    """Only what was changed in the list as it was shown is a change: other rows are as others have left them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, field in self.fields.items():
            field.show_hidden_initial = not self.is_bound or self.add_initial_prefix(name) in self.data

    def clean(self) -> Any:
        data = super().clean()
        for name in self.changed_data:
            present, shown = getattr(self.instance, name, None), self.add_initial_prefix(name)
            if shown not in self.data or self._as_shown(name, shown) == present:
                continue
            words = _("Somebody else has changed this to %(value)s since you opened the list.") % {"value": present}
            self.add_error(name, words)
            sent: Any = self.data
            self.data = sent = sent.copy()
            sent[shown] = str(present)
        return data

    def _as_shown(self, name: str, shown: str) -> Any:
        try:
            return self.fields[name].to_python(self.data[shown])
        except ValidationError:
            return None


def _differences(form: Any, formsets: Iterable[Any]) -> Iterator[tuple[str, str, str]]:
    """(field, what is stored, what is in the form) wherever the two differ."""
    yield from _changed(form, "")
    for formset in formsets:
        for inner in formset.initial_forms:
            yield from _changed(inner, f"{formset.model._meta.verbose_name} {inner.instance}: ")


def _changed(form: Any, of: str) -> Iterator[tuple[str, str, str]]:
    for name, field in form.fields.items():
        bound = form[name]
        # Of what is stored, not of what was shown: a field may carry that as well.
        if (
            field.disabled
            or isinstance(field.widget, forms.HiddenInput)
            or not field.has_changed(bound.initial, bound.data)
        ):
            continue
        stored, typed = bound.initial, form.cleaned_data.get(name, bound.data)
        secret = isinstance(field.widget, forms.PasswordInput)
        shown = ("●●●", "●●●") if secret else (_shown(field, stored), _shown(field, typed))
        yield f"{of}{field.label or name}", *shown


def _shown(field: Any, value: Any) -> str:
    if isinstance(field, forms.ModelMultipleChoiceField):
        value = [str(each) for each in value or ()]
    elif isinstance(field, forms.ModelChoiceField):
        rows: Any = field.queryset
        value = value if isinstance(value, Model) else rows.filter(pk=value).first() or value
    elif isinstance(field, forms.ChoiceField) and not isinstance(value, list):
        choices: Any = field.choices
        value = dict(flatten_choices(choices)).get(value, value)
    elif not isinstance(value, bool | str | list):
        value = field.prepare_value(value)
    if value in (None, "", []):
        return "–"
    if isinstance(value, bool):
        value = _("yes") if value else _("no")
    text = str(display_for_value(value, "–"))
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _last(row: Any) -> Any:
    """The newest entry of a row's history, where its kind has one."""
    history = getattr(row, "history", None)
    return None if history is None else history.order_by("-history_date", "-history_id").first()
