"""REST framework's pages for staff, in a language that writes numbers with a comma."""

import re

import pytest

from providers.models import Provider
from tests.integration.api.conftest import ClientFor
from tests.integration.api.fake_live import FakeLive


@pytest.mark.django_db
def test_number_inputs_hold_numbers_that_browsers_can_read(client_for: ClientFor, worker: FakeLive) -> None:
    provider = Provider.objects.create(name="p", kind="openai", base_url="https://api.openai.com", retry_delay_s=0.25)
    page = client_for("superuser").get(
        f"/api/providers/{provider.pk}/", headers={"Accept": "text/html", "Accept-Language": "pt-BR"}
    )
    assert page["Content-Language"].lower() == "pt-br"
    inputs = re.findall(r'<input[^>]*type="number"[^>]*>', page.text)
    values = [value for each in inputs for value in re.findall(r'value="([^"]*)"', each)]
    assert "0.25" in values
    assert [value for value in values if "," in value] == []
