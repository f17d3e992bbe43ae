"""Whom we call: providers, their credentials, and the models they serve."""

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from providers import bounds, secrets
from providers.validation import (
    check_base_url,
    check_headers,
    check_kind,
    check_model_name,
    check_tags,
    check_variable,
    seconds_from,
    whole_from,
)
from rows.bounds import DEAREST_NANO_USD
from rows.validation import check_json_object, check_words

NAME_VALIDATOR = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z", _("Letters, digits, dots, dashes and underscores; at most 63 characters.")
)
SECONDS = seconds_from(bounds.SHORTEST_S)
COUNT = whole_from(1)
PRICE = [MinValueValidator(0), MaxValueValidator(DEAREST_NANO_USD)]


class Source(models.TextChoices):
    """Who entered a row. Rows from a file are read-only in the admin, so that file and admin cannot conflict."""

    ADMIN = "admin", _("admin or API")
    FILE = "file", _("configuration file")
    ENVIRONMENT = "environment", _("environment")
    DISCOVERY = "discovery", _("discovery")
    DEMO = "demo", _("demo")


class Provider(models.Model):
    """A vendor endpoint. Empty timeouts mean the gateway's defaults; times are seconds."""

    name = models.CharField(_("name"), max_length=63, unique=True, validators=[NAME_VALIDATOR])
    kind = models.CharField(_("kind"), max_length=32, default="openai", validators=[check_kind])
    base_url = models.CharField(_("base URL"), max_length=500, validators=[check_base_url])
    enabled = models.BooleanField(_("enabled"), default=True)
    priority = models.PositiveIntegerField(
        _("priority"),
        default=1,
        validators=whole_from(0),
        help_text=_("1 is tried first; equal priorities share by weight."),
    )
    weight = models.PositiveIntegerField(_("weight"), default=1, validators=COUNT)
    tags = models.JSONField(_("tags"), default=list, blank=True, validators=[check_tags])
    headers = models.JSONField(_("extra headers"), default=dict, blank=True, validators=[check_headers])
    options = models.JSONField(
        _("adapter options"),
        default=dict,
        blank=True,
        validators=[check_json_object],
        help_text=_("For example api_version, dialect or region."),
    )
    timeout_s = models.FloatField(
        _("first-token timeout"), null=True, blank=True, validators=SECONDS, help_text=_("Seconds; default 20.")
    )
    connect_timeout_s = models.FloatField(_("connect timeout"), null=True, blank=True, validators=SECONDS)
    idle_timeout_s = models.FloatField(_("idle timeout"), null=True, blank=True, validators=SECONDS)
    request_timeout_s = models.FloatField(_("total deadline"), null=True, blank=True, validators=SECONDS)
    max_retries = models.PositiveSmallIntegerField(
        _("attempts at most"), default=3, validators=whole_from(0, bounds.MOST_ATTEMPTS)
    )
    retry_delay_s = models.FloatField(
        _("retry delay"), default=0.25, validators=seconds_from(0.0, bounds.LONGEST_RETRY_DELAY_S)
    )
    max_connections = models.PositiveIntegerField(
        _("concurrent calls at most"), default=100, validators=whole_from(1, bounds.MOST_CONNECTIONS)
    )
    keepalive_timeout_s = models.FloatField(_("keep-alive"), default=30.0, validators=SECONDS)
    circuit_breaker_threshold = models.PositiveIntegerField(
        _("breaker threshold"), null=True, blank=True, validators=COUNT
    )
    circuit_breaker_timeout_s = models.FloatField(_("breaker timeout"), null=True, blank=True, validators=SECONDS)
    allow_private = models.BooleanField(
        _("private addresses allowed"), default=True, help_text=_("Off for providers that were discovered.")
    )
    private_networks = models.JSONField(
        _("private networks"),
        default=list,
        blank=True,
        editable=False,
        help_text=_("Admitted although private ones are not."),
    )
    source = models.CharField(_("source"), max_length=16, choices=Source.choices, default=Source.ADMIN, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    history = HistoricalRecords(excluded_fields=["headers"])

    class Meta:
        ordering = ["priority", "name"]
        verbose_name = _("provider")
        verbose_name_plural = _("providers")

    def __str__(self) -> str:
        return self.name


class Credential(models.Model):
    """A secret for a provider: encrypted here, or the name of an environment variable. Never shown again."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="credentials")
    name = models.CharField(_("name"), max_length=63, default="default", validators=[NAME_VALIDATOR])
    ciphertext = models.TextField(blank=True, default="", editable=False)
    hint = models.CharField(_("secret"), max_length=32, blank=True, default="", editable=False)
    environment_variable = models.CharField(
        _("environment variable"),
        max_length=128,
        blank=True,
        default="",
        validators=[RegexValidator(r"^[A-Za-z_][A-Za-z0-9_]*\Z"), check_variable],
        help_text=_("Instead of a stored secret: the variable (or its NAME_FILE) that holds it."),
    )
    weight = models.PositiveIntegerField(_("weight"), default=1, validators=COUNT)
    enabled = models.BooleanField(_("enabled"), default=True)
    last_worked_at = models.DateTimeField(_("last worked"), null=True, blank=True, editable=False)
    history = HistoricalRecords(excluded_fields=["ciphertext"])

    class Meta:
        ordering = ["provider", "name"]
        constraints = [models.UniqueConstraint(fields=["provider", "name"], name="credential_name_per_provider")]
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")

    def __str__(self) -> str:
        return f"{self.provider.name}/{self.name}"

    def store(self, secret: str) -> None:
        """Encrypts `secret` into this row (not saved yet)."""
        self.ciphertext = secrets.encrypt(secret)
        self.hint = secrets.hint(secret)

    def reveal(self) -> str:
        """The secret; empty when its environment variable is not set, or is one of the gateway's own (a row of before
        these were refused). Raises `UndecipherableSecret`."""
        if bounds.is_own_secret(self.environment_variable):
            return ""
        if self.environment_variable:
            return str(settings.PROVIDER_SECRET(self.environment_variable))
        return secrets.decrypt(self.ciphertext) if self.ciphertext else ""


class Deployment(models.Model):
    """A provider's model under the name clients use. Prices are nano-USD per million tokens, that of searches
    per thousand; empty means unknown."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="deployments")
    model = models.CharField(
        _("model"), max_length=200, validators=[check_model_name], help_text=_("The name clients ask for.")
    )
    upstream_model = models.CharField(
        _("upstream model"),
        max_length=200,
        blank=True,
        validators=[check_model_name],
        help_text=_("The provider's own name; empty: the same."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    priority = models.PositiveIntegerField(_("priority"), null=True, blank=True, validators=whole_from(0))
    weight = models.PositiveIntegerField(_("weight"), default=1, validators=COUNT)
    tags = models.JSONField(_("tags"), default=list, blank=True, validators=[check_tags])
    context_window = models.PositiveIntegerField(_("context window"), null=True, blank=True, validators=COUNT)
    max_output_tokens = models.PositiveIntegerField(_("output tokens at most"), null=True, blank=True, validators=COUNT)
    capabilities = models.JSONField(_("capabilities"), default=list, blank=True, validators=[check_words])
    reasoning = models.BooleanField(_("reasoning model"), default=False, help_text=_("Waits longer for a first token."))
    input_nano_usd_per_mtok = models.BigIntegerField(_("input price"), null=True, blank=True, validators=PRICE)
    output_nano_usd_per_mtok = models.BigIntegerField(_("output price"), null=True, blank=True, validators=PRICE)
    cached_input_nano_usd_per_mtok = models.BigIntegerField(
        _("cached input price"), null=True, blank=True, validators=PRICE
    )
    cache_write_nano_usd_per_mtok = models.BigIntegerField(
        _("cache write price"), null=True, blank=True, validators=PRICE
    )
    cache_write_1h_nano_usd_per_mtok = models.BigIntegerField(
        _("cache write price for an hour"), null=True, blank=True, validators=PRICE
    )
    audio_input_nano_usd_per_mtok = models.BigIntegerField(
        _("audio input price"), null=True, blank=True, validators=PRICE
    )
    audio_output_nano_usd_per_mtok = models.BigIntegerField(
        _("audio output price"), null=True, blank=True, validators=PRICE
    )
    search_nano_usd_per_thousand = models.BigIntegerField(
        _("price of searches"), null=True, blank=True, validators=PRICE
    )
    options = models.JSONField(_("adapter options"), default=dict, blank=True, validators=[check_json_object])
    source = models.CharField(_("source"), max_length=16, choices=Source.choices, default=Source.ADMIN, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["model", "provider"]
        constraints = [models.UniqueConstraint(fields=["provider", "model"], name="model_per_provider")]
        verbose_name = _("deployment")
        verbose_name_plural = _("deployments")

    def __str__(self) -> str:
        return f"{self.provider.name}/{self.model}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.upstream_model = self.upstream_model or self.model
        super().save(*args, **kwargs)


class ConformanceReport(models.Model):
    """One onboarding test of a provider. `results` are `providers.conformance.ProbeResult`s as JSON, in the order they
    were made; `passed` means that none failed. Cost is nano-USD, empty when a price was unknown."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="conformance_reports")
    model = models.CharField(_("model"), max_length=200, blank=True, default="")
    started_at = models.DateTimeField(db_index=True)
    duration_s = models.FloatField()
    passed = models.BooleanField()
    results = models.JSONField(default=list)
    tokens = models.PositiveIntegerField(default=0)
    cost_nano_usd = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["-started_at"]
        verbose_name = _("conformance report")
        verbose_name_plural = _("conformance reports")

    def __str__(self) -> str:
        return f"{self.provider.name} {self.started_at:%Y-%m-%d %H:%M}"


class DiscoveryState(models.TextChoices):
    PROPOSED = "proposed", _("proposed")
    APPROVED = "approved", _("approved")
    REJECTED = "rejected", _("rejected")
    DRAINING = "draining", _("draining")
    DISABLED = "disabled", _("disabled")


class Discovered(models.Model):
    """Something a source has shown: a provider, or a model of a provider. It goes live when it is approved."""

    source = models.CharField(_("source"), max_length=80, help_text="registry, consul, kubernetes, models")
    external_id = models.CharField(_("name at the source"), max_length=300)
    name = models.CharField(_("name"), max_length=63)
    state = models.CharField(_("state"), max_length=16, choices=DiscoveryState.choices, default=DiscoveryState.PROPOSED)
    document = models.JSONField(_("what was found"), default=dict)
    difference = models.JSONField(_("what changed"), default=dict, blank=True)
    provider = models.ForeignKey(Provider, null=True, blank=True, on_delete=models.SET_NULL, related_name="discoveries")
    note = models.CharField(_("note"), max_length=500, blank=True, default="")
    missed = models.PositiveIntegerField(default=0, help_text=_("Looks in a row that did not show it."))
    first_seen_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField()
    draining_since = models.DateTimeField(null=True, blank=True)
    kept_off = models.BooleanField(
        default=False,
        db_default=False,
        help_text=_("Switched off by somebody before it drained: it stays off when it comes back."),
    )

    class Meta:
        ordering = ["state", "name"]
        constraints = [models.UniqueConstraint(fields=["source", "external_id"], name="discovered_once_per_source")]
        verbose_name = _("discovered provider")
        verbose_name_plural = _("discovered providers")

    def __str__(self) -> str:
        return f"{self.source}:{self.name}"


class DiscoverySource(models.Model):
    """How the last look at a source went."""

    name = models.CharField(_("name"), max_length=80, unique=True)
    looked_at = models.DateTimeField(null=True, blank=True)
    worked_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(_("error"), max_length=500, blank=True, default="")
    found = models.PositiveIntegerField(_("found"), default=0)
    position = models.CharField(max_length=64, blank=True, default="", help_text=_("Where the source said to go on."))

    class Meta:
        ordering = ["name"]
        verbose_name = _("discovery source")
        verbose_name_plural = _("discovery sources")

    def __str__(self) -> str:
        return self.name
