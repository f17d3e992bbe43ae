from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from accounts.models.change import WatchedQuerySet
from rows.bounds import DEAREST_NANO_USD
from rows.validation import check_line

PRICE = [MinValueValidator(0), MaxValueValidator(DEAREST_NANO_USD)]


class Price(models.Model):
    """Our own price of a model from a moment on; it overrides the catalogue. Nano-USD per million tokens.

    1 USD per million tokens is 1,000,000,000. Empty cached, cache-write and audio input prices mean the input
    price, an empty one of what is kept for an hour the cache-write price, empty reasoning and audio output prices the output
    price. The price of searches is for a thousand of them; empty: not known.
    """

    model = models.CharField(
        _("model"),
        max_length=200,
        help_text="The upstream model's name; * and ? are wildcards.",
        validators=[check_line],
    )
    provider = models.CharField(
        max_length=100, blank=True, default="", help_text="Provider name; empty for any.", validators=[check_line]
    )
    effective_from = models.DateTimeField(_("effective from"), default=timezone.now)
    input_nano_usd = models.BigIntegerField(validators=PRICE)
    output_nano_usd = models.BigIntegerField(validators=PRICE)
    cached_input_nano_usd = models.BigIntegerField(null=True, blank=True, validators=PRICE)
    cache_write_nano_usd = models.BigIntegerField(null=True, blank=True, validators=PRICE)
    cache_write_1h_nano_usd = models.BigIntegerField(null=True, blank=True, validators=PRICE)
    audio_input_nano_usd = models.BigIntegerField(null=True, blank=True, validators=PRICE)
    audio_output_nano_usd = models.BigIntegerField(null=True, blank=True, validators=PRICE)
    reasoning_nano_usd = models.BigIntegerField(null=True, blank=True, validators=PRICE)
    search_nano_usd = models.BigIntegerField(null=True, blank=True, validators=PRICE)
    note = models.CharField(_("note"), max_length=200, blank=True, default="")
    managed_by = models.CharField(max_length=16, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    objects = WatchedQuerySet["Price"].as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["model", "provider", "-effective_from"]
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        constraints = [
            models.UniqueConstraint(fields=["model", "provider", "effective_from"], name="accounts_one_price_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{self.provider or 'any'}/{self.model} from {self.effective_from:%Y-%m-%d}"
