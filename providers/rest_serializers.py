"""JSON of providers, credentials and deployments for the management API. A secret goes in and never comes out."""

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from rest_framework import serializers

from providers import bounds
from providers.header_rules import VEIL, veiled
from providers.models import ConformanceReport, Credential, Deployment, Provider
from providers.validation import check_headers, check_options, check_secret, with_stored
from rows.file_rows import beside_file
from rows.rest import OwnFieldsOnly

HEADERS_HELP = (
    "Sent with every call, as a JSON object. No value is ever told: what stands in its place, or null, keeps the value that "
    "is stored."
)


class HeadersField(serializers.JSONField):
    """Names, and a veil in place of each value. Coming back, the veil or null stands for the value that is stored."""

    def to_representation(self, value: Any) -> Any:
        return veiled(value)

    def to_internal_value(self, data: Any) -> Any:
        found = super().to_internal_value(data)
        if not isinstance(found, dict):
            return found
        return {name: VEIL if value is None else value for name, value in found.items()}


class ProviderSerializer(OwnFieldsOnly, serializers.ModelSerializer[Provider]):
    headers = HeadersField(required=False, validators=[check_headers], help_text=HEADERS_HELP)

    class Meta:
        model = Provider
        exclude: ClassVar[list[str]] = []
        read_only_fields: ClassVar[list[str]] = ["source", "created_at", "updated_at"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        row = self.instance or Provider()
        if self.instance is None or _differs(row, attrs, "kind", "options"):
            _check_options(attrs.get("kind", row.kind), attrs.get("options", row.options))
        _with_stored_headers(attrs, row)
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Provider:
        row: Provider = super().create(_with_stored_headers(validated_data, Provider()))
        return row

    def update(self, instance: Provider, validated_data: dict[str, Any]) -> Provider:
        """`instance` is behind its lock, other than the one that was validated with: its values are kept."""
        row: Provider = super().update(instance, _with_stored_headers(validated_data, instance))
        return row

    def untold(self) -> Any:
        """What the row's tag stands for beside what is told of it."""
        return getattr(self.instance, "headers", None)


def _with_stored_headers(attrs: dict[str, Any], row: Provider) -> dict[str, Any]:
    if "headers" not in attrs:
        return attrs
    try:
        return {**attrs, "headers": with_stored(attrs["headers"], row.headers)}
    except ValidationError as error:
        raise serializers.ValidationError({"headers": error.messages}) from None


def _differs(row: Provider | Deployment, attrs: dict[str, Any], *columns: str) -> bool:
    """A row of before options were checked is changed elsewhere, and sent back as it was read."""
    return any(name in attrs and attrs[name] != getattr(row, name) for name in columns)


def _check_options(kind: str, options: object, *, of_model: bool = False) -> None:
    try:
        check_options(kind, options, of_model=of_model)
    except ValidationError as error:
        raise serializers.ValidationError({"options": error.messages}) from None


class CredentialSerializer(OwnFieldsOnly, serializers.ModelSerializer[Credential]):
    """`secret` is stored encrypted and shown as `hint` from then on; `environment_variable` names one instead."""

    secret = serializers.CharField(
        write_only=True,
        required=False,
        max_length=bounds.LONGEST_SECRET,
        trim_whitespace=True,
        validators=[check_secret],
    )

    class Meta:
        model = Credential
        fields: ClassVar[list[str]] = [
            "id", "provider", "name", "secret", "hint", "environment_variable", "weight", "enabled", "last_worked_at",
        ]  # fmt: skip
        read_only_fields: ClassVar[list[str]] = ["hint", "last_worked_at"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        row = self.instance
        has_secret = "secret" in attrs or bool(row and row.ciphertext)
        variable = attrs.get("environment_variable", row.environment_variable if row else "")
        if "secret" in attrs and variable:
            raise serializers.ValidationError({"secret": "Give a secret or an environment variable, not both."})
        if not has_secret and not variable:
            raise serializers.ValidationError({"secret": "Give the secret, or name an environment variable."})
        if beside_file(row or Credential(provider=attrs["provider"])):
            self._leave_to_the_file(row, attrs)
        return attrs

    @staticmethod
    def _leave_to_the_file(row: Credential | None, attrs: dict[str, Any]) -> None:
        """Of a provider of a file, a stored secret is all that is not the file's."""
        for name in attrs.keys() - {"secret"} if row else attrs.keys() & {"environment_variable"}:
            if attrs[name] != (getattr(row, name) if row else ""):
                raise serializers.ValidationError({name: "The configuration file manages this: change it there."})

    def create(self, validated_data: dict[str, Any]) -> Credential:
        secret = validated_data.pop("secret", None)
        row = Credential(**validated_data)
        return self._stored(row, secret)

    def update(self, instance: Credential, validated_data: dict[str, Any]) -> Credential:
        secret = validated_data.pop("secret", None)
        for name, value in validated_data.items():
            setattr(instance, name, value)
        if instance.environment_variable:
            instance.ciphertext = instance.hint = ""
        return self._stored(instance, secret)

    @staticmethod
    def _stored(row: Credential, secret: str | None) -> Credential:
        if secret is not None:
            row.store(secret)
        row.save()
        return row


class DeploymentSerializer(OwnFieldsOnly, serializers.ModelSerializer[Deployment]):
    class Meta:
        model = Deployment
        exclude: ClassVar[list[str]] = []
        read_only_fields: ClassVar[list[str]] = ["source", "created_at", "updated_at"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        row = self.instance or Deployment()
        if self.instance is None or _differs(row, attrs, "provider", "options"):
            provider = attrs.get("provider") or row.provider
            _check_options(provider.kind, attrs.get("options", row.options), of_model=True)
        return attrs


class ProbeResultSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    outcome = serializers.ChoiceField(choices=["passed", "failed", "unsupported", "skipped"])
    detail = serializers.CharField(allow_blank=True)
    duration = serializers.FloatField(allow_null=True, help_text="Seconds.")


class ConformanceReportSerializer(serializers.ModelSerializer[ConformanceReport]):
    """The capability matrix: one row per probe, with what failed and why."""

    results = ProbeResultSerializer(many=True)

    class Meta:
        model = ConformanceReport
        exclude: ClassVar[list[str]] = []


class TestOrderSerializer(OwnFieldsOnly):
    model = serializers.CharField(required=False, allow_blank=True, max_length=200, default="")
    max_cost_usd = serializers.FloatField(required=False, min_value=0, max_value=10, default=0.02)


class ListedModelSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    context_window = serializers.IntegerField(allow_null=True)
    max_output_tokens = serializers.IntegerField(allow_null=True)
    input_nano_usd_per_mtok = serializers.IntegerField(source="facts.prices.input", allow_null=True)
    output_nano_usd_per_mtok = serializers.IntegerField(source="facts.prices.output", allow_null=True)
    adopted = serializers.BooleanField()


class ListedModelsSerializer(serializers.Serializer[Any]):
    models = ListedModelSerializer(many=True)


class AdoptionSerializer(OwnFieldsOnly):
    """`models` are names from the provider's list; leave them out and say `all` to adopt every one."""

    models = serializers.ListField(child=serializers.CharField(max_length=200), required=False, max_length=2000)
    all = serializers.BooleanField(required=False, default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs.get("models")) == attrs["all"]:
            raise serializers.ValidationError({"models": "Name the models to adopt, or say all: true."})
        return attrs


class AdoptedSerializer(serializers.Serializer[Any]):
    adopted = DeploymentSerializer(many=True)
