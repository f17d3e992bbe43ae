"""Forms of teams, keys, limits, budgets and prices."""

from decimal import Decimal
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminNullBooleanSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from accounts import bounds
from accounts.models import ApiKey, Budget, Limit, Price, Team
from accounts.models.budget import Period
from accounts.models.limit import Scope
from rows.bounds import MOST_WHOLE
from rows.form_fields import NANO_PER_USD, JsonObjectField, UsdField, WordsField

SCOPE_CHOICES = (
    ("completions", _("completions: call models")),
    ("read", _("read: see health, usage and metrics")),
    ("admin", _("admin: change the configuration by API")),
)
PER_MTOK = _("US dollars per million tokens.")
MOST_USD = Decimal(bounds.MOST_NANO_USD) / NANO_PER_USD


class FollowOrSay(UnfoldAdminNullBooleanSelectWidget):  # type: ignore[misc]
    """Yes, no, or what the gateway settings say."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.choices = [("unknown", _("as the gateway settings say")), ("true", _("yes")), ("false", _("no"))]


class TeamForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Team
        fields = "__all__"
        labels = {
            "name": _("name"),
            "enabled": _("enabled"),
            "metadata": _("metadata"),
            "payload_logging": _("payload logging"),
            "cache_enabled": _("response cache"),
        }
        help_texts = {
            "enabled": _("Off: every key of the team is refused."),
            "metadata": _("A JSON object of your own, such as a cost centre. The gateway does not read it."),
            "payload_logging": _("Store prompts and answers of this team."),
            "cache_enabled": _("Answer repeated requests from memory."),
        }
        widgets = {
            "metadata": UnfoldAdminTextareaWidget(attrs={"rows": 3, "class": "code"}),
            "payload_logging": FollowOrSay(),
            "cache_enabled": FollowOrSay(),
        }
        field_classes = {"metadata": JsonObjectField}


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    scopes = forms.MultipleChoiceField(
        label=_("scopes"),
        choices=SCOPE_CHOICES,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        initial=["completions"],
        help_text=_("What the key may do. Give applications completions only."),
    )
    allowed_models = WordsField(
        label=_("allowed models"),
        help_text=_("Names or patterns such as gpt-4o*, with commas or one a line. Empty allows all."),
    )
    allowed_networks = WordsField(
        label=_("allowed networks"),
        help_text=_("Addresses or CIDR ranges the key may come from, such as 10.0.0.0/8. Empty allows all."),
    )
    tags = WordsField(label=_("tags"), help_text=_("Words by which usage is summed up, such as a cost centre."))

    class Meta:
        model = ApiKey
        fields = "__all__"
        labels = {
            "name": _("name"),
            "team": _("team"),
            "enabled": _("enabled"),
            "expires_at": _("expires at"),
            "cache_enabled": _("response cache"),
            "condensation": _("condensation"),
            "payload_logging": _("payload logging"),
        }
        help_texts = {
            "name": _("Who or what uses it, so that you know which one to revoke."),
            "team": _("Its limits and budgets hold for all keys of the team together."),
            "expires_at": _("From then on it is refused. UTC; empty: never."),
            "cache_enabled": _("Answer repeated requests from memory."),
            "condensation": _("Shorten conversations that outgrow the model."),
            "payload_logging": _("Store prompts and answers of this key."),
        }
        widgets = {"cache_enabled": FollowOrSay(), "condensation": FollowOrSay(), "payload_logging": FollowOrSay()}


def number(label: Any, help_text: Any, *, most: int = MOST_WHOLE) -> forms.IntegerField:
    widget = UnfoldAdminIntegerFieldWidget()
    return forms.IntegerField(
        label=label, help_text=help_text, required=False, min_value=1, max_value=most, widget=widget
    )


class NewApiKeyForm(ApiKeyForm):
    """With the limits and the budget that most keys get at once; they are rows of their own and can be changed later."""

    requests_per_minute = number(_("requests per minute"), _("Empty: no limit, unless the gateway settings have one."))
    tokens_per_minute = number(
        _("tokens per minute"), _("Input and output together. Empty: no limit."), most=bounds.MOST_TOKENS
    )
    concurrency = number(_("calls at the same time"), _("Empty: no limit."))
    budget_usd = UsdField(
        label=_("budget in US dollars"), max_value=MOST_USD, help_text=_("Calls that would exceed it are refused.")
    )
    period = forms.ChoiceField(
        label=_("budget period"), choices=Period.choices, initial=Period.MONTH, widget=UnfoldAdminSelectWidget()
    )

    def clean_expires_at(self) -> Any:
        moment = self.cleaned_data["expires_at"]
        if moment is not None and moment <= timezone.now():
            raise forms.ValidationError(_("This moment has passed; the key would be refused at once."))
        return moment


class LimitForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Limit
        fields = "__all__"
        labels = {
            "scope": _("holds for"),
            "key": _("key"),
            "team": _("team"),
            "requests": _("requests"),
            "requests_window_s": _("within seconds"),
            "tokens": _("tokens"),
            "tokens_window_s": _("within seconds"),
            "concurrency": _("calls at the same time"),
            "strict": _("strict"),
        }
        help_texts = {
            "requests": _("Empty: no limit of this sort."),
            "tokens": _("Input and output together. Empty: no limit of this sort."),
            "concurrency": _("Empty: no limit of this sort."),
            "strict": _("When Redis cannot be reached: refuse, instead of counting in each worker by itself."),
        }

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        numbers = ("requests", "tokens", "concurrency")
        if all(data.get(name) is None and name not in self.errors for name in numbers):
            raise forms.ValidationError(_("Set at least one of requests, tokens and calls at the same time."))
        others = Limit.objects.filter(scope=Scope.DEFAULT).exclude(pk=self.instance.pk)
        if data.get("scope") == Scope.DEFAULT and others.exists():
            # At its field; the constraint would be named instead.
            self.add_error("scope", _("There is a limit for every key already: change that one."))
        return owner_only(data)


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]
    amount_nano_usd = UsdField(
        label=_("US dollars"),
        max_value=MOST_USD,
        help_text=_("Empty: money is not limited. Calls that would exceed it are refused."),
    )

    class Meta:
        model = Budget
        fields = "__all__"
        labels = {
            "name": _("name"),
            "scope": _("holds for"),
            "key": _("key"),
            "team": _("team"),
            "tokens": _("tokens"),
            "period": _("period"),
            "on_unknown_price": _("where a price is unknown"),
            "enabled": _("enabled"),
        }
        help_texts = {
            "name": _("For your own overview."),
            "tokens": _("Input and output together. Empty: tokens are not limited."),
            "on_unknown_price": _("What to do with a call of a model without a price."),
        }

    def clean(self) -> dict[str, Any]:
        # The model would also complain of the lack of an amount that was only mistyped.
        for name in {"amount_nano_usd", "tokens"} & self.errors.keys():
            setattr(self.instance, name, 0)
        return owner_only(super().clean() or {})


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]
    input_nano_usd = UsdField(label=_("input"), required=True, help_text=PER_MTOK)
    output_nano_usd = UsdField(label=_("output"), required=True, help_text=PER_MTOK)
    cached_input_nano_usd = UsdField(label=_("cached input"), help_text=_("Empty: the input price."))
    cache_write_nano_usd = UsdField(label=_("cache write"), help_text=_("Empty: the input price."))
    cache_write_1h_nano_usd = UsdField(label=_("cache write for an hour"), help_text=_("Empty: the cache write price."))
    audio_input_nano_usd = UsdField(label=_("audio input"), help_text=_("Empty: the input price."))
    audio_output_nano_usd = UsdField(label=_("audio output"), help_text=_("Empty: the output price."))
    reasoning_nano_usd = UsdField(label=_("reasoning"), help_text=_("Empty: the output price."))
    search_nano_usd = UsdField(
        label=_("searches"), help_text=_("US dollars per thousand searches of the web that the provider runs.")
    )

    class Meta:
        model = Price
        fields = "__all__"
        labels = {
            "model": _("model"),
            "provider": _("provider"),
            "effective_from": _("effective from"),
            "note": _("note"),
        }
        help_texts = {
            "model": _("The upstream model's name; * and ? stand for anything."),
            "provider": _("The provider's name; empty: any."),
            "effective_from": _("UTC. Calls before it keep the price they had."),
        }


def owner_only(data: dict[str, Any]) -> dict[str, Any]:
    """Drops the owner that the chosen scope does not have, which people leave behind when they change their mind."""
    for owner in ("key", "team"):
        if data.get("scope") != owner and owner in data:
            data[owner] = None
    return data
