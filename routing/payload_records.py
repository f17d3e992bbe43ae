"""The table of stored prompts and answers. Names stand beside numbers, because records outlive the keys they speak of."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class PayloadRecord(models.Model):
    """One answered call of a team or key that has payload logging on. `request` and `response` are JSON texts without
    secrets and personal data; they are empty when they were too large to store."""

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
        app_label = "routing"
        ordering = ["id"]
        verbose_name = _("stored prompt")
        verbose_name_plural = _("stored prompts")

    def __str__(self) -> str:
        return self.request_id
