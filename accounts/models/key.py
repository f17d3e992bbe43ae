from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import MinLengthValidator
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from accounts import bounds
from accounts.models.change import WatchedQuerySet
from accounts.rules import InvalidRuleError, check_names, check_networks, check_scopes
from rows.validation import check_json_object, check_line, check_words


class Team(models.Model):
    name = models.CharField(
        _("name"), max_length=bounds.LONGEST_NAME, unique=True, validators=[MinLengthValidator(1), check_line]
    )
    enabled = models.BooleanField(default=True, help_text="Off: every key of the team is refused.")
    metadata = models.JSONField(default=dict, blank=True, validators=[check_json_object])
    payload_logging = models.BooleanField(
        null=True, blank=True, help_text="Store prompts and answers; empty follows the global setting."
    )
    cache_enabled = models.BooleanField(null=True, blank=True, help_text="Response cache; empty follows the setting.")
    managed_by = models.CharField(max_length=16, blank=True, default="", help_text="'file' when a file manages it.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    objects = WatchedQuerySet["Team"].as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["name"]
        verbose_name = _("team")
        verbose_name_plural = _("teams")

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """A client's key. `digest` is HMAC-SHA256(pepper, token) in hex; the token itself is nowhere."""

    public_id = models.CharField(max_length=32, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    hint = models.CharField(max_length=8, editable=False, help_text="The last characters, to recognise it by.")
    previous_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    previous_expires_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Until then the secret before the last rotation still works."
    )
    name = models.CharField(_("name"), max_length=bounds.LONGEST_NAME, validators=[check_line])
    team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, related_name="keys", verbose_name=_("team")
    )
    scopes = models.JSONField(default=list, blank=True, help_text="completions, read, admin")
    allowed_models = models.JSONField(default=list, blank=True, help_text="Names or patterns; empty allows all.")
    allowed_networks = models.JSONField(default=list, blank=True, help_text="CIDR ranges; empty allows all.")
    enabled = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    tags = models.JSONField(default=list, blank=True, validators=[check_words])
    cache_enabled = models.BooleanField(null=True, blank=True)
    condensation = models.BooleanField(null=True, blank=True)
    payload_logging = models.BooleanField(null=True, blank=True)
    managed_by = models.CharField(max_length=16, blank=True, default="")
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    objects = WatchedQuerySet["ApiKey"].as_manager()
    history = HistoricalRecords(excluded_fields=["digest", "previous_digest", "last_used_at"])

    class Meta:
        ordering = ["name", "id"]
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.name} (…{self.hint})"

    @property
    def is_on(self) -> bool:
        """A key is off with its team."""
        return self.enabled and (self.team is None or self.team.enabled)

    def clean(self) -> None:
        checks = {"scopes": check_scopes, "allowed_models": check_names, "allowed_networks": check_networks}
        faults = {}
        for field, check in checks.items():
            try:
                check(getattr(self, field))
            except InvalidRuleError as fault:
                faults[field] = gettext(fault.words) % fault.values
        if faults:
            raise ValidationError(faults)


def keys_on() -> models.Q:
    """Of keys that nobody has revoked or switched off, neither themselves nor with their team."""
    return models.Q(enabled=True, revoked_at=None) & (models.Q(team=None) | models.Q(team__enabled=True))


def keys_let_in(now: datetime) -> models.Q:
    return keys_on() & (models.Q(expires_at=None) | models.Q(expires_at__gt=now))
