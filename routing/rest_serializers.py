"""JSON of aliases, policies, gateway settings and configuration revisions for the management API."""

from typing import Any, ClassVar

from rest_framework import serializers

from routing import policy_options
from routing.configuration.columns import managed_columns
from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias, RoutePolicy


def check_names(value: Any, field: str) -> Any:
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        raise serializers.ValidationError(f"'{field}' is a list of model names.")
    return value


class ModelAliasSerializer(serializers.ModelSerializer[ModelAlias]):
    class Meta:
        model = ModelAlias
        exclude: ClassVar[list[str]] = []
        read_only_fields: ClassVar[list[str]] = ["source"]

    def validate_targets(self, value: Any) -> Any:
        return check_names(value, "targets")

    def validate_fallbacks(self, value: Any) -> Any:
        return check_names(value, "fallbacks")


class RoutePolicySerializer(serializers.ModelSerializer[RoutePolicy]):
    class Meta:
        model = RoutePolicy
        exclude: ClassVar[list[str]] = []
        read_only_fields: ClassVar[list[str]] = ["source"]

    def validate_fallbacks(self, value: Any) -> Any:
        return check_names(value, "fallbacks")

    def validate_context_fallbacks(self, value: Any) -> Any:
        return check_names(value, "context_fallbacks")

    def validate_options(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise serializers.ValidationError("Options are a JSON object.")
        for name in policy_options.problems(value):
            raise serializers.ValidationError(f"'{name}' is {policy_options.EXPECTED}.")
        return value


class GatewaySettingsSerializer(serializers.ModelSerializer[GatewaySettings]):
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


class RollbackOrderSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class RollbackSerializer(serializers.Serializer[Any]):
    rolled_back_to = serializers.IntegerField()
    revision = serializers.IntegerField(allow_null=True, help_text="The new revision; null when nothing differed.")


class RevisionSerializer(serializers.ModelSerializer[ConfigurationRevision]):
    """`id` is the revision that requests carry in `x-llm-proxy-revision`."""

    author = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = ConfigurationRevision
        fields: ClassVar[list[str]] = ["id", "created_at", "author", "source", "reason", "changes", "difference"]
