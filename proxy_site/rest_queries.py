"""What a query of `/api/` may say. Anything else is refused: left out in silence, a filter that was mistyped would answer
with every row, as if all of them fitted."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.db import models
from django.db.models import QuerySet
from django_filters.filters import BooleanFilter
from django_filters.rest_framework import DjangoFilterBackend, FilterSet
from django_filters.widgets import BooleanWidget
from rest_framework.exceptions import ValidationError
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from rows import names

if TYPE_CHECKING:
    # REST framework's views import these classes: the settings name them.
    from rest_framework.views import APIView

FORMAT = "format"
"""By which the browsable pages link to JSON."""


class OwnParametersOnly:
    """For a view of rows, in front of its own class."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        wrong = names.unknown("parameter", request.query_params, list(_parameters(self, request)))
        if wrong:
            raise ValidationError(wrong)


def _parameters(view: Any, request: Request) -> Iterator[str]:
    """Those of a list are taken wherever its address is, because the form on its page is sent to it as it is."""
    yield FORMAT
    of_list = not getattr(view, "detail", True)
    if of_list:
        yield from _filters(getattr(view, "filterset_fields", ()))
        if getattr(view, "search_fields", ()):
            yield "search"
        if getattr(view, "ordering_fields", ()):
            yield "ordering"
    below_a_row = getattr(view, "action", None) not in (None, "retrieve") and request.method in SAFE_METHODS
    if (of_list or below_a_row) and getattr(view, "paginator", None) is not None:
        yield from ("limit", "offset")


def _filters(fields: Any) -> Iterator[str]:
    if not isinstance(fields, dict):
        yield from fields
        return
    for name, lookups in fields.items():
        yield from (name if lookup == "exact" else f"{name}__{lookup}" for lookup in lookups)


class Pages(LimitOffsetPagination):
    default_limit = 50
    max_limit = 500

    def get_limit(self, request: Request) -> int | None:
        _check_number(request, self.limit_query_param, least=1)
        return super().get_limit(request)

    def get_offset(self, request: Request) -> int:
        _check_number(request, self.offset_query_param, least=0)
        return super().get_offset(request)


def _check_number(request: Request, name: str, *, least: int) -> None:
    text = request.query_params.get(name) or str(least)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
        raise ValidationError({name: f"This is not a whole number of at least {least}."})


class _FlagWidget(BooleanWidget):  # type: ignore[misc]
    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        found = super().value_from_datadict(data, files, name)
        return data.get(name) if found is None else found


class _FlagField(forms.NullBooleanField):
    widget = _FlagWidget

    def clean(self, value: Any) -> bool | None:
        # It would become None, and filter nothing.
        if value not in (True, False, None, ""):
            raise forms.ValidationError("This is neither true nor false.")
        found: bool | None = super().clean(value)
        return found


class _FlagFilter(BooleanFilter):  # type: ignore[misc]
    field_class = _FlagField


class _Filters(FilterSet):  # type: ignore[misc]
    FILTER_DEFAULTS: ClassVar[Any] = {**FilterSet.FILTER_DEFAULTS, models.BooleanField: {"filter_class": _FlagFilter}}


class Filters(DjangoFilterBackend):  # type: ignore[misc]
    filterset_base = _Filters


class Search(SearchFilter):
    def get_schema_operation_parameters(self, view: Any) -> Any:
        """Not told of lists that cannot be searched."""
        return super().get_schema_operation_parameters(view) if getattr(view, "search_fields", ()) else []


class Ordering(OrderingFilter):
    def remove_invalid_fields(
        self, queryset: QuerySet[Any], fields: Iterable[str], view: "APIView", request: Request
    ) -> list[str]:
        wanted = [field for field in fields if field]
        known = [name for name, _ in self.get_valid_fields(queryset, view, {"request": request})]
        for advice in names.unknown("column", (field.removeprefix("-") for field in wanted), known).values():
            raise ValidationError({self.ordering_param: advice})
        return wanted
