"""What every view and every body of the management API's rows has."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import transaction
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.settings import api_settings

from rows import names
from rows.locks import locked

OF_A_PAGE = "csrfmiddlewaretoken"
"""What the forms of the browsable pages send beside the fields."""


class AtomicWrites:
    """A change, its history and the notes that tell the workers of it are one transaction."""

    def perform_create(self, serializer: Any) -> None:
        with transaction.atomic():
            serializer.save()

    def perform_update(self, serializer: Any) -> None:
        with transaction.atomic():
            # Every column is written: what others changed since the row was read, such as a revocation, must not be undone.
            serializer.instance = get_object_or_404(locked(type(serializer.instance)), pk=serializer.instance.pk)
            serializer.save()

    def perform_destroy(self, instance: Any) -> None:
        with transaction.atomic():
            instance.delete()


class RowNumber(serializers.PrimaryKeyRelatedField[Any]):
    """Another row, named by its `id`."""

    default_error_messages: ClassVar[Any] = {
        "does_not_exist": "There is no row with the id {pk_value}.",
        "incorrect_type": "This is the number under which the other row is listed, its id.",
    }


class OneOf(serializers.ChoiceField):
    def __init__(self, choices: Any, **options: Any) -> None:
        super().__init__(choices, **options)
        self.error_messages["invalid_choice"] = f'"{{input}}" is not one of {", ".join(map(str, self.choices))}.'


class OwnFieldsOnly(serializers.Serializer[Any]):
    """Refuses a field that there is not: what somebody meant by `allowed_model` would else be left out in silence, and the
    key could call every model. Fields that are only read are taken, without effect, so that a row can be sent back."""

    serializer_related_field: Any = RowNumber
    serializer_choice_field: Any = OneOf

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            wrong = names.unknown("field", (name for name in data if name != OF_A_PAGE), self.fields)
            if wrong:
                raise serializers.ValidationError(wrong)
        try:
            return super().to_internal_value(data)
        except RecursionError:
            # JSON within a field of a form: a whole body of JSON is refused where it is read.
            raise serializers.ValidationError(
                {api_settings.NON_FIELD_ERRORS_KEY: ["A value is nested too deeply."]}
            ) from None
