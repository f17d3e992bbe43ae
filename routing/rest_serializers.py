"""JSON of aliases, policies, gateway settings and configuration revisions for the management API."""

from collections.abc import Collection
from typing import Any, ClassVar

from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers

from routing.alias_targets import are_aliases, check_known, known_models, known_names, leads_to_aliases
from routing.configuration.columns import managed_columns
from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias, RoutePolicy
from rows.rest import OwnFieldsOnly


def _check_served(field: str, words: Any, known: Collection[str]) -> None:
    try:
        check_known(words, known)
    except DjangoValidationError as error:
        raise serializers.ValidationError({field: error.messages}) from None


class ModelAliasSerializer(OwnFieldsOnly, serializers.ModelSerializer[ModelAlias]):
    class Meta:
        model = ModelAlias
        exclude: ClassVar[list[str]] = []
        read_only_fields: ClassVar[list[str]] = ["source"]
        extra_kwargs: ClassVar[dict[str, Any]] = {"targets": {"required": True}}

    def validate_targets(self, value: Any) -> Any:
        if not value:
            raise serializers.ValidationError("An alias leads to at least one model.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        name, targets = (attrs.get(key, getattr(self.instance, key, "")) for key in ("name", "targets"))
        if attrs.keys() & {"name", "targets"}:
            models = known_models()
            if wrong := are_aliases(targets, of=name, models=models):
                raise serializers.ValidationError({"targets": leads_to_aliases(wrong)})
            _check_served("targets", attrs.get("targets", ()), models)
        if attrs.get("fallbacks"):
            _check_served("fallbacks", attrs["fallbacks"], known_names())
        return attrs


class RoutePolicySerializer(OwnFieldsOnly, serializers.ModelSerializer[RoutePolicy]):
    class Meta:
        model = RoutePolicy
        exclude: ClassVar[list[str]] = []
        read_only_fields: ClassVar[list[str]] = ["source"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for field in ("fallbacks", "context_fallbacks"):
            if attrs.get(field):
                _check_served(field, attrs[field], known_names())
        return attrs


class GatewaySettingsSerializer(OwnFieldsOnly, serializers.ModelSerializer[GatewaySettings]):
    class Meta:
        model = GatewaySettings
        exclude: ClassVar[list[str]] = ["id"]
        # What a file gave for the process, and which keys it manages: changed there.
        read_only_fields: ClassVar[list[str]] = ["process", "file_keys", "updated_at"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in sorted(managed_columns(self.instance.file_keys if self.instance else ()) & attrs.keys()):
            if attrs[name] != getattr(self.instance, name):
                raise serializers.ValidationError({name: "The configuration file manages this: change it there."})
        return attrs


class RollbackOrderSerializer(OwnFieldsOnly):
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class RollbackSerializer(serializers.Serializer[Any]):
    rolled_back_to = serializers.IntegerField()
    revision = serializers.IntegerField(allow_null=True, help_text="The new revision; null when nothing differed.")


class RevisionSerializer(serializers.ModelSerializer[ConfigurationRevision]):
    """`id` is the revision that requests carry in `x-llm-proxy-revision`."""

    author = serializers.SlugRelatedField[Any](slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = ConfigurationRevision
        fields: ClassVar[list[str]] = ["id", "created_at", "author", "source", "reason", "changes", "difference"]
