"""How calls travel: names clients use, policies for them, gateway-wide settings, and the numbered configuration revisions."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from providers.bounds import MOST_ATTEMPTS, SHORTEST_S
from providers.validation import check_model_name, seconds_from, whole_from
from routing.configuration.values import LONGEST_WINDOW_S
from routing.value_checks import (
    check_condensation,
    check_discovery,
    check_key_header,
    check_model_names,
    check_origins,
    check_payload_logging,
    check_policy_options,
    check_response_cache,
)
from rows.validation import check_json_object, check_line

SECONDS = seconds_from(SHORTEST_S)


class Strategy(models.TextChoices):
    """The names of `routing.strategies`."""

    PRIORITY = "priority", _("priority")
    WEIGHTED = "weighted", _("weighted")
    ROUND_ROBIN = "round_robin", _("round robin")
    LEAST_BUSY = "least_busy", _("least busy")
    LATENCY = "latency", _("latency")
    COST = "cost", _("cost")
    BALANCED = "balanced", _("balanced")


class ModelAlias(models.Model):
    """A client-facing name for a set of deployments, with its strategy and ordered fallbacks."""

    name = models.CharField(_("name"), max_length=200, unique=True, validators=[check_model_name])
    targets = models.JSONField(
        _("targets"),
        default=list,
        validators=[check_model_names],
        help_text=_("Model names, or provider/model for one provider's deployment."),
    )
    strategy = models.CharField(_("strategy"), max_length=16, choices=Strategy.choices, blank=True, default="")
    fallbacks = models.JSONField(
        _("fallbacks"),
        default=list,
        blank=True,
        validators=[check_model_names],
        help_text=_("Names tried next, in order."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    cache_enabled = models.BooleanField(_("response cache"), null=True, blank=True)
    condensation_enabled = models.BooleanField(_("condensation"), null=True, blank=True)
    source = models.CharField(_("source"), max_length=16, default="admin", editable=False)
    history = HistoricalRecords()

    class Meta:
        ordering = ["name"]
        verbose_name = _("model alias")
        verbose_name_plural = _("model aliases")

    def __str__(self) -> str:
        return self.name


class RoutePolicy(models.Model):
    """Strategy and fallbacks for every model or alias whose name matches `pattern` (`*` and `?` as in file names)."""

    name = models.CharField(_("name"), max_length=63, unique=True, validators=[check_line])
    pattern = models.CharField(_("pattern"), max_length=200, default="*", validators=[check_model_name])
    position = models.PositiveIntegerField(
        _("position"), default=100, validators=whole_from(0), help_text=_("The first match counts.")
    )
    strategy = models.CharField(_("strategy"), max_length=16, choices=Strategy.choices, default=Strategy.PRIORITY)
    options = models.JSONField(
        _("options"),
        default=dict,
        blank=True,
        validators=[check_json_object, check_policy_options],
        help_text=_("For example the weights of balanced."),
    )
    fallbacks = models.JSONField(_("fallbacks"), default=list, blank=True, validators=[check_model_names])
    context_fallbacks = models.JSONField(
        _("context-window fallbacks"),
        default=list,
        blank=True,
        validators=[check_model_names],
        help_text=_("Tried when the conversation is too long."),
    )
    sticky = models.BooleanField(_("sticky by user"), default=False)
    enabled = models.BooleanField(_("enabled"), default=True)
    source = models.CharField(_("source"), max_length=16, default="admin", editable=False)
    history = HistoricalRecords()

    class Meta:
        ordering = ["position", "name"]
        verbose_name = _("route policy")
        verbose_name_plural = _("route policies")

    def __str__(self) -> str:
        return self.name


class GatewaySettings(models.Model):
    """One row: the gateway-wide keys of config.yaml. Times are seconds."""

    app_name = models.CharField(max_length=100, default="LLM Proxy API", validators=[check_line])
    api_key_header = models.CharField(max_length=64, default="X-API-Key", validators=[check_key_header])
    cors_origins = models.JSONField(default=list, blank=True, validators=[check_origins])
    rate_limit_rpm = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=whole_from(1),
        help_text=_("Default requests per window for keys without a limit; empty: none."),
    )
    rate_limit_window_s = models.PositiveIntegerField(default=60, validators=whole_from(1, LONGEST_WINDOW_S))
    request_timeout_s = models.FloatField(default=600.0, validators=SECONDS)
    circuit_breaker_threshold = models.PositiveIntegerField(default=5, validators=whole_from(1))
    circuit_breaker_timeout_s = models.FloatField(default=60.0, validators=SECONDS)
    default_strategy = models.CharField(max_length=16, choices=Strategy.choices, default=Strategy.PRIORITY)
    max_attempts = models.PositiveSmallIntegerField(default=3, validators=whole_from(1, MOST_ATTEMPTS))
    condensation = models.JSONField(default=dict, blank=True, validators=[check_condensation])
    response_cache = models.JSONField(default=dict, blank=True, validators=[check_response_cache])
    payload_logging = models.JSONField(default=dict, blank=True, validators=[check_payload_logging])
    discovery = models.JSONField(default=dict, blank=True, validators=[check_discovery])
    log_file = models.CharField(max_length=500, blank=True, default="", validators=[check_line])
    app_version = models.CharField(max_length=500, blank=True, default="", validators=[check_line])
    process = models.JSONField(
        default=dict, blank=True, help_text=_("Keys of the process that a file gave, by their names in the document.")
    )
    file_keys = models.JSONField(
        default=list, blank=True, editable=False, help_text=_("Keys of the document that a file manages.")
    )
    updated_at = models.DateTimeField(auto_now=True)
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("gateway settings")
        verbose_name_plural = _("gateway settings")

    def __str__(self) -> str:
        return str(_("Gateway settings"))

    @classmethod
    def load(cls) -> "GatewaySettings":
        return cls.objects.get_or_create(pk=1)[0]


class ConfigurationRevision(models.Model):
    """A numbered change of the configuration: its primary key is the revision that requests record."""

    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    source = models.CharField(max_length=16, default="admin")
    reason = models.CharField(max_length=300, blank=True, default="")
    changes = models.JSONField(default=list, help_text=_("One sentence per change."))
    difference = models.JSONField(
        default=list, help_text=_("[{object, model, action, fields: {name: [before, after]}}], secrets masked.")
    )
    undo = models.JSONField(
        default=list,
        editable=False,
        help_text=_("[{model, pk, before}]: what rolling back restores; secrets encrypted."),
    )
    # Also the database's default: a process of the version before may still write here during an upgrade.
    changes_answers = models.BooleanField(default=True, db_default=True, editable=False)
    """Whether a cached answer is old by it. Who may call, how much and at what price makes none old."""

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("configuration revision")
        verbose_name_plural = _("configuration revisions")

    def __str__(self) -> str:
        return f"r{self.pk}"


class ConfigurationFile(models.Model):
    """A file that was loaded, so that it is loaded again only when its content changed, and by one worker only."""

    path = models.CharField(max_length=1000, unique=True)
    digest = models.CharField(max_length=64, blank=True, default="", help_text=_("SHA-256 of what is in force."))
    loaded_at = models.DateTimeField(null=True, blank=True)
    names = models.JSONField(
        default=dict, blank=True, help_text=_("What it named, by section: gone names are removed.")
    )
    refused_digest = models.CharField(max_length=64, blank=True, default="")
    refused_at = models.DateTimeField(null=True, blank=True)
    refusal = models.TextField(blank=True, default="", help_text=_("Why the newest content is not in force."))

    class Meta:
        ordering = ["path"]
        verbose_name = _("configuration file")
        verbose_name_plural = _("configuration files")

    def __str__(self) -> str:
        return self.path


class RouteDecisionRecord(models.Model):
    """Why a request went where it went, for those that outlive the ring in memory. Written by `decision_keeping`."""

    request_id = models.CharField(_("request"), max_length=128)
    tenant = models.CharField(max_length=64, editable=False)
    model = models.CharField(_("model"), max_length=200)
    revision = models.PositiveIntegerField(_("revision"))
    kept_for = models.CharField(_("kept for"), max_length=16, help_text=_("failure, sample or asked"))
    decided_at = models.DateTimeField(_("decided at"), db_index=True)
    decision = models.JSONField(_("decision"))

    class Meta:
        ordering = ["-decided_at"]
        constraints = [models.UniqueConstraint(fields=["request_id", "decided_at"], name="decision_once_per_request")]
        verbose_name = _("route decision")
        verbose_name_plural = _("route decisions")

    def __str__(self) -> str:
        return self.request_id


class PayloadRecord(models.Model):
    """One answered call of a team or key that has payload logging on. `request` and `response` are JSON texts without
    secrets and personal data; they are empty when they were too large to store. Names stand beside numbers, because
    records outlive the keys they speak of."""

    request_id = models.CharField(_("request"), max_length=128, db_index=True)
    created_at = models.DateTimeField(_("time"), db_index=True)
    key_id = models.BigIntegerField(_("key id"), null=True)
    key_name = models.CharField(_("key"), max_length=200, blank=True, default="")
    team_id = models.BigIntegerField(_("team id"), null=True)
    team = models.CharField(_("team"), max_length=200, blank=True, default="")
    model = models.CharField(_("model"), max_length=256)
    endpoint = models.CharField(_("endpoint"), max_length=64)
    stream = models.BooleanField(_("stream"), default=False)
    status = models.PositiveSmallIntegerField(_("status"))
    provider = models.CharField(_("provider"), max_length=100, blank=True, default="")
    upstream_model = models.CharField(_("upstream model"), max_length=256, blank=True, default="")
    cache = models.CharField(_("cache"), max_length=8, blank=True, default="")
    input_tokens = models.BigIntegerField(_("input tokens"), default=0)
    output_tokens = models.BigIntegerField(_("output tokens"), default=0)
    redactions = models.PositiveIntegerField(_("redactions"), default=0)
    request = models.TextField(_("request"), editable=False)
    response = models.TextField(_("response"), editable=False)

    class Meta:
        ordering = ["id"]
        verbose_name = _("stored prompt")
        verbose_name_plural = _("stored prompts")

    def __str__(self) -> str:
        return self.request_id
