"""Keeps paid probes below what the operator allows a day. The day is UTC; the sum is in SQL, so every process obeys it."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from monitoring.models import ProbeSpend
from monitoring.probes import PROBE_TOKENS
from providers.specs import DeploymentSpec

NANO = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendCap:
    usd_per_day: Decimal

    async def reserve(self, deployment: DeploymentSpec) -> bool:
        """Books the most that the probe can cost; False when that is unknown or would exceed the cap of the day."""
        cost = deployment.prices.of_tokens(PROBE_TOKENS, PROBE_TOKENS)
        if cost is None:
            return False
        return await asyncio.to_thread(self._book, cost)

    def _book(self, nano_usd: int) -> bool:
        try:
            with transaction.atomic():
                row, _ = ProbeSpend.objects.get_or_create(day=timezone.now().date())
                cap = int(self.usd_per_day * NANO)
                booked = ProbeSpend.objects.filter(pk=row.pk, nano_usd__lte=cap - nano_usd).update(
                    nano_usd=F("nano_usd") + nano_usd, probes=F("probes") + 1
                )
            return bool(booked)
        finally:
            # The thread ends with the round of checks, and would take a connection of the pool along.
            connection.close()
