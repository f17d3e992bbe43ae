"""Filters of the lists of credentials and models."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedCheckboxFilter


class ProviderFilter(RelatedCheckboxFilter):  # type: ignore[misc]
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.title = _("provider")
