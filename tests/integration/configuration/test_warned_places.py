"""What is no reason to refuse a document is said with the place in it, as what is one."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from providers.models import Provider
from tests.integration.configuration.conftest import Load

pytestmark = pytest.mark.django_db(transaction=True)

DOCUMENT = """\
condensation:
  summary_model: small
model_aliases:
  a.b:
    targets: [p/m, p/typo]
route_policies:
  - name: one
  - name: two
    fallbacks: [m]
    context_fallbacks: [gone]
providers:
  - name: other
    base_url: http://10.0.0.2
  - name: p
    renamed_from: never
    base_url: http://10.0.0.1
    models: [m]
    api_key_env: NOT_SET_HERE
    headers:
      X-Team: null
"""


def test_each_warning_has_the_line_that_it_is_about(tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text(DOCUMENT)
    errors = StringIO()
    call_command("load_config", str(path), stdout=StringIO(), stderr=errors)

    assert errors.getvalue().replace(str(path), "FILE").splitlines() == [
        "Warning: FILE:15:19: providers.p.renamed_from: there is no never, so it is a new one and has no secret that was "
        "typed in.",
        "Warning: FILE:20:7: providers.p.headers.X-Team: no value is stored, so it is not sent.",
        "Warning: FILE:18:18: providers.p.api_key_env: no variable NOT_SET_HERE is set here, so it gives no key.",
        "Warning: FILE:5:14: model_aliases.a.b.targets: nothing serves p/typo.",
        "Warning: FILE:10:24: route_policies.two.context_fallbacks: nothing serves gone.",
        "Warning: FILE:2:18: condensation.summary_model: nothing serves small.",
    ]


def test_a_warning_of_what_is_in_no_line_of_the_document_has_no_place(load: Load):
    load("model_aliases: {a: {targets: [m]}}\nproviders: [{name: p, base_url: 'http://10.0.0.1', models: [m]}]")
    load("teams: {t: {}}", name="other.yaml")
    applied = load("providers: [{name: p, base_url: 'http://10.0.0.1', models: [n]}]")

    assert applied.placed_warnings == applied.warnings == ("model_aliases.a.targets: nothing serves m",)
    assert Provider.objects.get().deployments.get().model == "n"
