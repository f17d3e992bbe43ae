"""Words of other people's admin templates that come without a translation; naming them here puts them into ours."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

WORDS = (
    _("Add new item"), _("All applications"), _("Apply Filters"), _("Change reason"), _("Changes"), _("Changed by"),
    _("Choose a date from the list below to revert to a previous version of this object"), _("Click to cancel"),
    _("Dark"), _("Date"), _("Date from"), _("Date to"), _("Default"), _("Edit"), _("Expand row"), _("From"), _("General"),
    _("Go back"), _("Light"), _("Loading more results..."), _("More actions"), _("Name"), _("Next"), _("No data"),
    _("No recent searches"), _("No results found"), _("No results matching your query"), _("Object"), _("Comment"),
    _("Press the 'Revert' button below to revert to this version of the object."), _("Previous"), _("Recent searches"),
    _("Reset filters"), _("Reset to default"), _("Return to site"), _("Revert"), _("Run"),
    _("Search apps and models..."), _("Select action"), _("Select action to run"), _("Select all rows"),
    _("Select record"), _("Select value"), _("Submit"), _("System"), _("This item will be deleted."),
    _("To"), _("Type to search"),
    _("Value"), _("Welcome back to"), _(" By %(filter_title)s "), _("This object doesn't have a change history."),
    _("You have been successfully logged out from the administration"), _("periodic task"), _("periodic tasks"),
    _("Periodic Tasks"), _("Last Run Datetime"),
    _("access attempt"), _("access attempts"), _("Failed logins"), _("Show all"),
    ngettext_lazy("%(counter)s result", "%(counter)s results", "counter"), ngettext_lazy("entry", "entries", "counter"),
)  # fmt: skip
