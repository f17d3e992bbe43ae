"""What people type in the admin of providers, and what is stored: headers and secrets."""

import pytest
from django.core.exceptions import ValidationError
from rest_framework import serializers

from providers.admin.form_fields import HeadersField, SecretField
from providers.rest_serializers import CredentialSerializer


def test_headers_are_typed_one_a_line() -> None:
    field = HeadersField()
    assert field.clean("X-Team: blue\n\n X-Region : eu:west \n") == {"X-Team": "blue", "X-Region": "eu:west"}
    assert not field.has_changed({"a": "b"}, field.prepare_value({"a": "b"}))
    with pytest.raises(ValidationError, match="no colon here"):
        field.clean("no colon here")


@pytest.mark.parametrize("pasted", ["sk-abc def", "sk-abc\nsk-def", "sk-\x00abc", "sk-…"])
def test_a_secret_with_something_else_pasted_is_refused(pasted: str) -> None:
    with pytest.raises(ValidationError):
        SecretField().clean(pasted)


def test_a_secret_is_never_rendered() -> None:
    assert "sk-very-secret" not in SecretField().widget.render("secret", "sk-very-secret")


def test_a_secret_is_as_long_in_the_admin_as_at_the_api() -> None:
    taken = CredentialSerializer().fields["secret"]
    assert SecretField().clean("s" * taken.max_length) == "s" * taken.max_length
    for field in (SecretField(), taken):
        with pytest.raises((ValidationError, serializers.ValidationError)):
            field.run_validators("s" * (taken.max_length + 1))
