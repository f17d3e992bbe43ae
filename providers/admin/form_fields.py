"""Form fields for what only providers have: headers and secrets."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget

from providers import bounds
from providers.header_rules import unveiled, veiled
from providers.validation import check_secret


class HeadersField(forms.Field):
    """HTTP headers, stored as a JSON object, typed as `Name: value`, one a line. What is stored is shown by name; its form
    cleans with `with_stored`."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("required", False)
        options.setdefault("widget", UnfoldAdminTextareaWidget(attrs={"rows": 3, "class": "words"}))
        super().__init__(**options)

    def to_python(self, value: Any) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        headers: dict[str, str] = {}
        for line in filter(str.strip, (value or "").splitlines()):
            name, colon, content = line.partition(":")
            if not colon or not name.strip():
                raise ValidationError(
                    _("'%(line)s' is not a header; write Name: value."), params={"line": line.strip()}
                )
            headers[name.strip()] = content.strip()
        return headers

    def prepare_value(self, value: Any) -> Any:
        return headers_text(value) if isinstance(value, dict) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return not self.disabled and unveiled(self.to_python(data), initial) != (initial or {}, [])
        except ValidationError:
            return True


def headers_text(headers: object) -> str:
    return "\n".join(f"{name}: {content}" for name, content in veiled(headers).items())


class SecretField(forms.CharField):
    """Write-only: what is stored is never sent to the browser, and an empty field changes nothing."""

    def __init__(self, **options: Any) -> None:
        attrs = {"autocomplete": "new-password", "spellcheck": "false"}
        options = {"required": False, "max_length": bounds.LONGEST_SECRET, "strip": True, **options}
        super().__init__(widget=UnfoldAdminPasswordWidget(attrs=attrs, render_value=False), **options)

    def clean(self, value: Any) -> str:
        secret = str(super().clean(value))
        check_secret(secret)
        return secret
