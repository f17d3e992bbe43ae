"""Forms of aliases, policies and gateway settings: lists as words, names checked against what is served."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.admin.forms import FollowOrSay
from routing.alias_targets import are_aliases, check_known, known_models, known_names, leads_to_aliases
from routing.configuration.columns import managed_columns
from routing.configuration.stored import readable_section, section_fault
from routing.models import GatewaySettings, ModelAlias, RoutePolicy
from rows.form_fields import JsonObjectField, WordsField

NAMES_HELP = gettext_lazy(
    "Model names, or provider/model for one provider's. With commas or one a line; the order counts."
)


class NamesField(WordsField):
    """Names of what is served."""

    def clean(self, value: Any) -> list[str]:
        names: list[str] = super().clean(value)
        check_known(names, known_names())
        return names


class AliasForm(forms.ModelForm):  # type: ignore[type-arg]
    targets = WordsField(label=gettext_lazy("targets"), required=True, help_text=NAMES_HELP)
    fallbacks = NamesField(
        label=gettext_lazy("fallbacks"),
        help_text=gettext_lazy("Names tried next, in order, when no target can answer."),
    )

    class Meta:
        model = ModelAlias
        fields = "__all__"
        help_texts = {
            "name": gettext_lazy("What clients ask for as model."),
            "strategy": gettext_lazy("How one of the targets is chosen. Empty: as the route policy says."),
            "cache_enabled": gettext_lazy("Answer repeated requests from memory."),
            "condensation_enabled": gettext_lazy("Shorten conversations that are too long."),
        }
        widgets = {"cache_enabled": FollowOrSay(), "condensation_enabled": FollowOrSay()}

    def clean_targets(self) -> list[str]:
        targets: list[str] = self.cleaned_data["targets"]
        models = known_models()
        if wrong := are_aliases(targets, of=str(self.data.get("name")), models=models):
            raise ValidationError(leads_to_aliases(wrong))
        check_known(targets, models)
        return targets


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    fallbacks = NamesField(
        label=gettext_lazy("fallbacks"), help_text=gettext_lazy("Names tried next, in order, when nothing can answer.")
    )
    context_fallbacks = NamesField(
        label=gettext_lazy("context-window fallbacks"),
        help_text=gettext_lazy("Names tried when the conversation is too long; put models with larger windows here."),
    )

    class Meta:
        model = RoutePolicy
        fields = "__all__"
        help_texts = {
            "pattern": gettext_lazy("Names of models or aliases it holds for; * and ? stand for anything."),
            "position": gettext_lazy("Policies are asked from the smallest number on; the first match counts."),
            "sticky": gettext_lazy(
                "The same user meets the same deployment while it is well, which keeps caches warm."
            ),
        }
        widgets = {"options": UnfoldAdminTextareaWidget(attrs={"rows": 3, "class": "code"})}
        field_classes = {"options": JsonObjectField}


def _switch(label: Any, help_text: Any) -> forms.BooleanField:
    return forms.BooleanField(label=label, help_text=help_text, required=False, widget=UnfoldBooleanSwitchWidget())


def _whole(label: Any, help_text: Any, *, at_least: int = 1) -> forms.IntegerField:
    widget = UnfoldAdminIntegerFieldWidget()
    return forms.IntegerField(label=label, help_text=help_text, required=False, min_value=at_least, widget=widget)


# Form field → (JSON column, key in it). Keys that are not here stay as they are.
_INSIDE = {
    "cache_enabled": ("response_cache", "enabled"),
    "cache_ttl_s": ("response_cache", "ttl"),
    "cache_max_entries": ("response_cache", "max_entries"),
    "condensation_max_tokens": ("condensation", "max_tokens_default"),
    "condensation_factor": ("condensation", "adaptive_factor"),
    "condensation_cache_ttl_s": ("condensation", "cache_ttl"),
    "condensation_keywords": ("condensation", "error_keywords"),
    "payloads_enabled": ("payload_logging", "enabled"),
    "payloads_retention_days": ("payload_logging", "retention_days"),
}


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg]
    """The keys inside the JSON columns are fields of their own, so that nobody has to write JSON."""

    cors_origins = WordsField(
        label=gettext_lazy("CORS origins"),
        help_text=gettext_lazy(
            "Pages that may call the API from a browser, such as https://app.example.com. Empty: none."
        ),
    )
    cache_enabled = _switch(
        gettext_lazy("enabled"), gettext_lazy("Answer repeated requests from memory, for each team by itself.")
    )
    cache_ttl_s = _whole(gettext_lazy("kept for"), gettext_lazy("Seconds."))
    cache_max_entries = _whole(gettext_lazy("answers at most"), gettext_lazy("The oldest leave first."))
    condensation_max_tokens = _whole(
        gettext_lazy("tokens of the summary"), gettext_lazy("How long the summary of old messages may be.")
    )
    condensation_factor = forms.FloatField(
        label=gettext_lazy("adaptive factor"),
        required=False,
        min_value=0.05,
        max_value=1.0,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "0.05"}),
        help_text=gettext_lazy("The share of the context window that a conversation is shortened to, 0.05 to 1."),
    )
    condensation_cache_ttl_s = _whole(gettext_lazy("summary kept for"), gettext_lazy("Seconds."), at_least=0)
    condensation_keywords = WordsField(
        label=gettext_lazy("words that mean “too long”"),
        help_text=gettext_lazy("Found in a provider's error, they count as a context overflow."),
    )
    payloads_enabled = _switch(
        gettext_lazy("enabled"), gettext_lazy("Prompts may hold personal data; off unless you have a reason.")
    )
    payloads_retention_days = _whole(gettext_lazy("kept for"), gettext_lazy("Days; then they are deleted."))

    class Meta:
        model = GatewaySettings
        fields = [
            "app_name", "api_key_header", "cors_origins", "rate_limit_rpm", "rate_limit_window_s", "request_timeout_s",
            "circuit_breaker_threshold", "circuit_breaker_timeout_s", "default_strategy", "max_attempts", "discovery",
            "log_file",
        ]  # fmt: skip
        labels = {
            "app_name": gettext_lazy("name of this gateway"),
            "api_key_header": gettext_lazy("other key header"),
            "rate_limit_rpm": gettext_lazy("requests for each key"),
            "rate_limit_window_s": gettext_lazy("within seconds"),
            "request_timeout_s": gettext_lazy("total deadline"),
            "circuit_breaker_threshold": gettext_lazy("opens after"),
            "circuit_breaker_timeout_s": gettext_lazy("stays open for"),
            "default_strategy": gettext_lazy("strategy"),
            "max_attempts": gettext_lazy("attempts at most"),
            "discovery": gettext_lazy("sources"),
            "log_file": gettext_lazy("log file"),
        }
        help_texts = {
            "api_key_header": gettext_lazy("Accepted beside Authorization: Bearer."),
            "rate_limit_rpm": gettext_lazy("For keys without a limit of their own. Empty: no limit."),
            "request_timeout_s": gettext_lazy("Seconds for a call with all its attempts."),
            "circuit_breaker_threshold": gettext_lazy("Failures in a row. Providers may have their own number."),
            "circuit_breaker_timeout_s": gettext_lazy("Seconds until a trial; doubles while trials fail, to five minutes."),
            "default_strategy": gettext_lazy("How one of several deployments is chosen where no route policy says."),
            "max_attempts": gettext_lazy("Attempts at the deployments of one name; a provider may have a smaller number."),
            "discovery": gettext_lazy("JSON: registry {url}, consul {url, tag}, kubernetes {namespace, label_selector}, "
                                      "allow_cidrs, auto_approve. {} searches nowhere."),
            "log_file": gettext_lazy("A path on the server; empty: standard output only."),
        }  # fmt: skip
        widgets = {"discovery": UnfoldAdminTextareaWidget(attrs={"rows": 4, "class": "code"})}
        field_classes = {"discovery": JsonObjectField}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, (column, key) in _INSIDE.items():
            self.initial[name] = readable_section(column, getattr(self.instance, column)).get(key)
        self._lock(managed_columns(self.instance.file_keys))

    def _lock(self, columns: set[str]) -> None:
        """What a file manages is changed in the file. A disabled field takes no value, whatever a browser sends."""
        for name, field in self.fields.items():
            if name in columns or _INSIDE.get(name, ("",))[0] in columns:
                field.disabled = True
                said = gettext_lazy("A configuration file manages this: change it there.")
                field.help_text = format_lazy("{} {}", field.help_text, said) if field.help_text else said

    def _post_clean(self) -> None:
        for name, (column, key) in _INSIDE.items():
            if name not in self.changed_data or name not in self.cleaned_data:
                continue
            stored = getattr(self.instance, column)
            inside = dict(stored) if isinstance(stored, dict) else {}
            value = self.cleaned_data[name]
            if value in (None, [], ""):
                inside.pop(key, None)
            else:
                inside[key] = value
                if (fault := section_fault(column, {key: value})) is not None:
                    self.add_error(name, fault)
            setattr(self.instance, column, inside)
        super()._post_clean()  # type: ignore[misc]
