"""Forms of providers, credentials and deployments."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.models import InlineForeignKeyField
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from providers.adapters import REGISTRY
from providers.admin.form_fields import HeadersField, SecretField
from providers.admin.option_help import check_options_of, tell_options
from providers.models import Credential, Deployment, Provider
from providers.validation import with_stored
from rows.form_fields import JsonObjectField, UsdField, WordsField

TAGS_HELP = _("Words, separated by commas or lines; a request asks for them with x-llm-proxy-tags.")
PER_MTOK = _("US dollars per million tokens; empty means unknown, 0 means free.")


KIND_LABELS = {"openai": _("OpenAI or compatible")}
"""Those that are more than a name."""


def kind_label(kind: str) -> str:
    adapter = REGISTRY.get(kind)
    return str(KIND_LABELS.get(kind) or (adapter.label if adapter else kind))


def kind_choices() -> list[tuple[str, str]]:
    return sorted(((kind, kind_label(kind)) for kind in REGISTRY), key=lambda choice: choice[1].lower())


class ProviderForm(forms.ModelForm):  # type: ignore[type-arg]
    kind = forms.ChoiceField(
        label=_("kind"),
        choices=kind_choices,
        widget=UnfoldAdminSelectWidget(),
        initial="openai",
        help_text=_("Which API it speaks. Any server that imitates OpenAI is “OpenAI or compatible”."),
    )
    tags = WordsField(label=_("tags"), help_text=TAGS_HELP)
    headers = HeadersField(
        label=_("extra headers"),
        help_text=_(
            "Sent with every call. One a line, as Name: value. Stored values are not shown: ••• keeps them. "
            "Keys do not go here."
        ),
    )

    class Meta:
        model = Provider
        fields = "__all__"
        help_texts = {
            "name": _("How logs, metrics and headers call it. It cannot hold spaces."),
            "base_url": _("With or without the version, such as https://api.openai.com or https://api.openai.com/v1."),
            "enabled": _("Off: it gets no calls; running calls end normally."),
            "weight": _("Its share among providers of the same priority."),
            "connect_timeout_s": _("Seconds; default 3."),
            "idle_timeout_s": _("Longest silence within a stream, seconds; default 30."),
            "request_timeout_s": _("Seconds for a call with all its attempts; empty follows the gateway settings."),
            "max_retries": _("How often one call may try this provider."),
            "retry_delay_s": _("Seconds before the same target is tried again; doubles each time, with jitter."),
            "max_connections": _("Calls beyond this go to another provider."),
            "keepalive_timeout_s": _("Seconds an idle connection is kept."),
            "circuit_breaker_threshold": _("Failures in a row that open the breaker; empty: the gateway settings."),
            "circuit_breaker_timeout_s": _(
                "Seconds until an open breaker allows a trial; empty: the gateway settings."
            ),
        }
        widgets = {"options": UnfoldAdminTextareaWidget(attrs={"rows": 3, "class": "code"})}
        field_classes = {"options": JsonObjectField}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        tell_options(self, self.instance.kind if self.instance.pk is not None else "")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        check_options_of(self, data.get("kind", self.instance.kind))
        return data

    def clean_headers(self) -> dict[str, str]:
        return with_stored(self.cleaned_data["headers"], self.instance.headers)

    def clean_base_url(self) -> str:
        return str(self.cleaned_data["base_url"]).strip().rstrip("/")


class _OfProvider(forms.ModelForm):  # type: ignore[type-arg]
    """A row that its provider has once, on a page of its own or on the provider's."""

    def validate_unique(self) -> None:
        """On the provider's page Django compares with the rows that are sent, not with those that are stored."""
        super().validate_unique()
        if isinstance(self.fields.get("provider"), InlineForeignKeyField):
            try:
                self.instance.validate_constraints(exclude=set(self.errors))
            except ValidationError as error:
                self.add_error(None, error)


class CredentialForm(_OfProvider):
    secret = SecretField(
        label=_("new secret"), help_text=_("Write-only: encrypted when saved. Leave empty to keep the present one.")
    )

    class Meta:
        model = Credential
        fields = "__all__"
        labels = {"provider": _("provider")}

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        secret, variable = data.get("secret"), data.get("environment_variable")
        if secret and variable:
            self.add_error("secret", _("Either a secret or an environment variable, not both."))
        elif not secret and not variable and not self.instance.ciphertext:
            self.add_error("secret", _("Enter the provider's API key, or name the environment variable that holds it."))
        return data

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        if secret := self.cleaned_data.get("secret"):
            self.instance.store(secret)
            self.instance.last_worked_at = None
        elif self.instance.environment_variable:
            self.instance.ciphertext = self.instance.hint = ""


class DeploymentForm(_OfProvider):
    tags = WordsField(label=_("tags"), help_text=TAGS_HELP)
    capabilities = WordsField(
        label=_("capabilities"),
        help_text=_("What it can do, such as tools, images, structured_output, embeddings. Empty: not known."),
    )
    input_nano_usd_per_mtok = UsdField(label=_("input price"), help_text=PER_MTOK)
    output_nano_usd_per_mtok = UsdField(label=_("output price"), help_text=PER_MTOK)
    cached_input_nano_usd_per_mtok = UsdField(
        label=_("cached input price"), help_text=_("US dollars per million tokens; empty: the input price.")
    )
    cache_write_nano_usd_per_mtok = UsdField(
        label=_("cache write price"), help_text=_("US dollars per million tokens; empty: the input price.")
    )
    cache_write_1h_nano_usd_per_mtok = UsdField(
        label=_("cache write price for an hour"),
        help_text=_("US dollars per million tokens; empty: the cache write price."),
    )
    audio_input_nano_usd_per_mtok = UsdField(
        label=_("audio input price"), help_text=_("US dollars per million tokens; empty: the input price.")
    )
    audio_output_nano_usd_per_mtok = UsdField(
        label=_("audio output price"), help_text=_("US dollars per million tokens; empty: the output price.")
    )
    search_nano_usd_per_thousand = UsdField(
        label=_("price of searches"), help_text=_("US dollars per thousand searches of the web that the provider runs.")
    )

    class Meta:
        model = Deployment
        fields = "__all__"
        labels = {"provider": _("provider")}
        help_texts = {
            "priority": _("Empty: the provider's."),
            "weight": _("Its share among deployments of the same priority."),
            "context_window": _("Tokens of input and output together; longer conversations go elsewhere."),
        }
        widgets = {"options": UnfoldAdminTextareaWidget(attrs={"rows": 3, "class": "code"})}
        field_classes = {"options": JsonObjectField}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "options" in self.fields:  # not on the provider's page, which would ask for the provider of each row
            tell_options(self, self._kind(self.instance), of_model=True)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        check_options_of(
            self, data["provider"].kind if data.get("provider") else self._kind(self.instance), of_model=True
        )
        return data

    @staticmethod
    def _kind(row: Deployment) -> str:
        return row.provider.kind if row.provider_id else ""
