from django.db import models


class IdempotencyRecord(models.Model):
    """One use of an Idempotency-Key by one API key, kept 24 h. `status` is empty while the first call is in flight."""

    key_id = models.BigIntegerField()
    idempotency_key = models.CharField(max_length=255)
    body_hash = models.CharField(max_length=64)
    request_id = models.CharField(max_length=128)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=list)
    body = models.BinaryField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key_id", "idempotency_key"], name="accounts_idempotency_once_per_key")
        ]

    def __str__(self) -> str:
        return f"{self.key_id}:{self.idempotency_key}"
