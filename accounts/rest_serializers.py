"""JSON of teams, keys, limits, budgets and prices for the management API. A key's token is shown once, at its making."""

from typing import Any, ClassVar

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import models
from rest_framework import serializers

from accounts.budget_spending import with_spending
from accounts.models import ApiKey, Budget, Limit, Price, Team
from rows.rest import OwnFieldsOnly

READ_ONLY = ["managed_by", "created_at", "updated_at"]


class ModelRules(OwnFieldsOnly, serializers.ModelSerializer[Any]):
    """The fields of a row. What they demand of each other is checked as well."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        model: type[models.Model] = self.Meta.model
        row = model()
        if self.instance is not None:
            values = {field.attname: getattr(self.instance, field.attname) for field in model._meta.concrete_fields}
            row = model(**values)
            # Else it would be held against itself where something must be unique.
            row._state.adding = False
        for name, value in attrs.items():
            setattr(row, name, value)
        try:
            row.clean()
            row.validate_constraints(exclude=None if self.instance else {"id"})
        except DjangoValidationError as error:
            raise serializers.ValidationError(serializers.as_serializer_error(error)) from None
        return attrs


class TeamSerializer(ModelRules):
    class Meta:
        model = Team
        exclude: ClassVar[list[str]] = []
        read_only_fields = READ_ONLY


class ApiKeySerializer(ModelRules):
    class Meta:
        model = ApiKey
        exclude: ClassVar[list[str]] = ["digest", "previous_digest"]
        read_only_fields: ClassVar[list[str]] = [
            *READ_ONLY, "public_id", "hint", "previous_expires_at", "revoked_at", "last_used_at",
        ]  # fmt: skip


class NewApiKeySerializer(ApiKeySerializer):
    """`key` is the token: it is in this answer and can never be read again."""

    key = serializers.CharField(read_only=True)


class RotationSerializer(OwnFieldsOnly):
    overlap_s = serializers.IntegerField(
        required=False, default=86_400, min_value=0, max_value=30 * 86_400,
        help_text="For so many seconds the secret before this one still works.",
    )  # fmt: skip


class LimitSerializer(ModelRules):
    class Meta:
        model = Limit
        exclude: ClassVar[list[str]] = []
        read_only_fields = READ_ONLY


class BudgetSerializer(ModelRules):
    spent_nano_usd = serializers.SerializerMethodField(help_text="In the present period, as far as calls are booked.")
    spent_tokens = serializers.SerializerMethodField(help_text="In the present period, as far as calls are booked.")

    def get_spent_nano_usd(self, row: Budget) -> int:
        return _spent(row).spent_nano_usd or 0

    def get_spent_tokens(self, row: Budget) -> int:
        return _spent(row).spent_tokens or 0

    class Meta:
        model = Budget
        exclude: ClassVar[list[str]] = []
        read_only_fields = READ_ONLY


def _spent(row: Budget) -> Any:
    """A row that was just made or locked has no such columns."""
    return row if hasattr(row, "spent_nano_usd") else with_spending(Budget.objects.filter(pk=row.pk)).get()


class PriceSerializer(ModelRules):
    class Meta:
        model = Price
        exclude: ClassVar[list[str]] = []
        read_only_fields = READ_ONLY
