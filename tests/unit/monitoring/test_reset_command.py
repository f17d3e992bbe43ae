"""What `reset_circuit_breakers` says."""

from io import StringIO

import pytest
from django.core.management import call_command

from providers.models import Deployment, Provider


@pytest.mark.django_db
@pytest.mark.parametrize(("models", "said"), [(1, "1 circuit breaker will"), (2, "2 circuit breakers will")])
def test_one_breaker_is_not_said_to_be_several(models: int, said: str) -> None:
    Provider.objects.all().delete()
    provider = Provider.objects.create(name="first", base_url="https://a.example/v1")
    for number in range(models):
        Deployment.objects.create(provider=provider, model=f"m{number}", upstream_model="m")
    told = StringIO()
    call_command("reset_circuit_breakers", stdout=told)
    assert told.getvalue().startswith(said)
