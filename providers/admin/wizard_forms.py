"""Forms of the provider wizard: how to reach it, and which of its models to serve."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from providers.adapters import adapter_for
from providers.adapters.model_list import ModelInfo
from providers.admin.form_fields import HeadersField, SecretField
from providers.admin.option_help import check_options_of, tell_options
from providers.catalog import known_capabilities
from providers.models import Credential, Deployment, Provider
from providers.specs import Prices
from providers.validation import with_stored
from rows.form_fields import JsonObjectField, UsdField, WordsField, usd_text


class ConnectionForm(forms.ModelForm):  # type: ignore[type-arg]
    """Address and key of a provider of `kind`; what is saved stays disabled until its models are chosen."""

    secret = SecretField(
        label=_("API key"), help_text=_("From the provider's console. Encrypted here, never shown again.")
    )
    environment_variable = forms.CharField(
        label=_("or environment variable"),
        required=False,
        max_length=128,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "MY_PROVIDER_KEY"}),
        help_text=_("The variable of this server that holds the key, if it shall not be stored here."),
    )
    headers = HeadersField(
        label=_("extra headers"),
        help_text=_("One a line, as Name: value. Usually none. Stored values are not shown: ••• keeps them."),
    )

    class Meta:
        model = Provider
        fields = ["name", "base_url", "headers", "options"]
        widgets = {
            "name": UnfoldAdminTextInputWidget(),
            "base_url": UnfoldAdminTextInputWidget(attrs={"placeholder": "https://…"}),
            "options": UnfoldAdminTextareaWidget(attrs={"rows": 2, "class": "code"}),
        }
        field_classes = {"options": JsonObjectField}
        help_texts = {
            "name": _("How logs, metrics and headers call it, such as openai-eu."),
            "base_url": _("The address of its API, with or without the version segment."),
        }

    def __init__(self, *args: Any, kind: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.kind, self.adapter = kind, adapter_for(kind)
        tell_options(self, kind)
        if self.instance.pk is None:
            self.initial.update(name=free_name(kind), base_url=self.adapter.default_base_url or "")
        self.stored = self.instance.credentials.order_by("pk").first() if self.instance.pk else None
        if self.stored is not None:
            self.initial["environment_variable"] = self.stored.environment_variable
            self.fields["secret"].help_text = _("Stored: %(hint)s. Leave empty to keep it.") % {
                "hint": self.stored.hint
            }

    def clean_headers(self) -> dict[str, str]:
        return with_stored(self.cleaned_data["headers"], self.instance.headers)

    def clean_base_url(self) -> str:
        return str(self.cleaned_data["base_url"]).strip().rstrip("/")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        self.instance.kind = self.kind
        check_options_of(self, self.kind)
        secret, variable = data.get("secret"), data.get("environment_variable")
        if secret and variable:
            self.add_error("secret", _("Either a key or an environment variable, not both."))
        elif not secret and not variable and "secret" not in self.errors and self._wants_a_key():
            self.add_error("secret", _("This provider answers nobody without a key."))
        if variable:
            self._check_variable(variable)
        return data

    def _wants_a_key(self) -> bool:
        return self.adapter.needs_credential and not (self.stored and self.stored.hint)

    def _check_variable(self, variable: str) -> None:
        probe = Credential(name="default", environment_variable=variable)
        try:
            probe.clean_fields(exclude=["provider"])
        except forms.ValidationError as error:
            self.add_error("environment_variable", error.message_dict.get("environment_variable", error.messages))

    @transaction.atomic
    def save(self, commit: bool = True) -> Provider:
        if self.instance.pk is None:
            self.instance.enabled = False
        provider: Provider = super().save(commit)
        secret, variable = self.cleaned_data["secret"], self.cleaned_data["environment_variable"]
        if secret or variable:
            row = self.stored or Credential(provider=provider)
            row.environment_variable = variable
            row.ciphertext = row.hint = ""
            if secret:
                row.store(secret)
            row.save()
        return provider


def free_name(kind: str) -> str:
    """`openai`, or `openai-2` where that is taken."""
    taken = set(Provider.objects.filter(name__startswith=kind).values_list("name", flat=True))
    return next(
        name for number in range(1, 10_000) if (name := kind if number == 1 else f"{kind}-{number}") not in taken
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOffer:
    """One line of the list to tick."""

    id: str
    context_window: int | None
    input_usd: str
    output_usd: str
    ticked: bool
    served: bool


class ModelsForm(forms.Form):
    """Ticked model names, each with two prices named `in:<model>` and `out:<model>`; and names typed by hand."""

    typed = WordsField(
        label=_("Other model names"), help_text=_("Names that are not in the list, separated by commas or lines.")
    )

    def __init__(
        self,
        *args: Any,
        provider: Provider,
        listed: Sequence[ModelInfo],
        suggested: dict[str, Prices],
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.provider, self.suggested = provider, suggested
        self.listed = {model.id: model for model in listed}
        self.served = set(provider.deployments.values_list("upstream_model", flat=True))
        self.ticked: list[str] = self.data.getlist("model") if self.is_bound else []  # type: ignore[attr-defined]

    def offers(self) -> list[ModelOffer]:
        return [self._offer(model) for model in sorted(self.listed.values(), key=lambda model: model.id.lower())]

    def _offer(self, model: ModelInfo) -> ModelOffer:
        served = model.id in self.served
        return ModelOffer(
            id=model.id,
            context_window=model.context_window,
            input_usd=self._price(f"in:{model.id}", self.suggested.get(model.id, Prices()).input),
            output_usd=self._price(f"out:{model.id}", self.suggested.get(model.id, Prices()).output),
            ticked=served or model.id in self.ticked or (not self.is_bound and len(self.listed) <= 3),
            served=served,
        )

    def _price(self, field: str, suggested: int | None) -> str:
        if self.is_bound:
            return str(self.data.get(field, ""))
        return "" if suggested is None else usd_text(suggested)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        names = [name for name in self.ticked if name in self.listed] + list(data.get("typed") or [])
        fresh = [name for name in dict.fromkeys(names) if name not in self.served]
        if not fresh and not self.served:
            raise forms.ValidationError(_("Choose at least one model; without one the provider gets no calls."))
        data["rows"] = [self._row(name) for name in fresh]
        return data

    def _row(self, name: str) -> Deployment:
        model = self.listed.get(name)
        row = Deployment(
            provider=self.provider,
            model=name,
            upstream_model=name,
            context_window=model.context_window if model else None,
            max_output_tokens=model.max_output_tokens if model else None,
            input_nano_usd_per_mtok=self._nano(name, "in"),
            output_nano_usd_per_mtok=self._nano(name, "out"),
            capabilities=known_capabilities(name),
        )
        try:
            row.full_clean()
        except forms.ValidationError as error:
            self.add_error(None, f"{name}: {' '.join(error.messages)}")
        return row

    def _nano(self, name: str, side: str) -> int | None:
        try:
            value: int | None = UsdField().clean(self.data.get(f"{side}:{name}") or None)
        except forms.ValidationError as error:
            self.add_error(None, f"{name}: {' '.join(error.messages)}")
            return None
        return value

    @transaction.atomic
    def save(self) -> None:
        for row in self.cleaned_data["rows"]:
            row.save()
        self.provider.enabled = True
        self.provider.save()
