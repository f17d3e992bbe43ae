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
    _(
        "Raw passwords are not stored, so there is no way to see this user’s password, but you can change the password "
        'using <a href="{}" class="text-primary-600 dark:text-primary-500">this form</a>.'
    ),
    ngettext_lazy("%(counter)s result", "%(counter)s results", "counter"), ngettext_lazy("entry", "entries", "counter"),
)  # fmt: skip

BEAT = (
    _("Task Name"),
    _('The Name of the Celery Task that Should be Run.  (Example: "proj.tasks.import_contacts")'),
    _("Short Description For This Task"), _("Enabled"), _("Set to False to disable the schedule"), _("Description"),
    _("Detailed description about the details of this Periodic Task"), _("Interval Schedule"),
    _("Interval Schedule to run the task on.  Set only one schedule type, leave the others null."),
    _("Crontab Schedule"), _("Crontab Schedule to run the task on.  Set only one schedule type, leave the others null."),
    _("Clocked Schedule"), _("Clocked Schedule to run the task on.  Set only one schedule type, leave the others null."),
    _("Start Datetime"), _("Datetime when the schedule should begin triggering the task to run"), _("One-off Task"),
    _("If True, the schedule will only run the task a single time"),
    _("Datetime that the schedule last triggered the task to run. Reset to None if enabled is set to False."),
    _("Arguments"), _("Positional Arguments"), _('JSON encoded positional arguments (Example: ["arg1", "arg2"])'),
    _("Keyword Arguments"), _('JSON encoded keyword arguments (Example: {"argument": "value"})'),
    _("Number of Periods"), _("Number of interval periods to wait before running the task again"), _("Interval Period"),
    _("The type of period between task runs (Example: days)"), _("interval"), _("intervals"), _("every {}"),
    _("every {} {}"), _("Days"), _("Hours"), _("Minutes"), _("Seconds"), _("Microseconds"), _("Day"), _("Hour"),
    _("Minute"), _("Second"), _("Microsecond"), _("Clock Time"), _("Run the task at clocked time"), _("clocked"),
    _("crontab"), _("crontabs"), _("Minute(s)"), _('Cron Minutes to Run. Use "*" for "all". (Example: "0,30")'),
    _("Hour(s)"), _('Cron Hours to Run. Use "*" for "all". (Example: "8,20")'), _("Day(s) Of The Month"),
    _('Cron Days Of The Month to Run. Use "*" for "all". (Example: "1,15")'), _("Month(s) Of The Year"),
    _('Cron Months (1-12) Of The Year to Run. Use "*" for "all". (Example: "1,12")'), _("Day(s) Of The Week"),
    _('Cron Days Of The Week to Run. Use "*" for "all", Sunday is 0 or 7, Monday is 1. (Example: "0,5")'),
    _("Cron Timezone"), _("Timezone to Run the Cron Schedule on. Default is UTC."), _("Enable selected tasks"),
    _("Disable selected tasks"), _("Toggle activity of selected tasks"), _("Run selected tasks"),
    _("{0} task{1} {2} successfully run"), _("was,were"), _("Periodic Tasks Using This Schedule"),
    ngettext_lazy("{0} task was successfully enabled", "{0} tasks were successfully enabled"),
    ngettext_lazy("{0} task was successfully disabled", "{0} tasks were successfully disabled"),
    ngettext_lazy("{0} task was successfully toggled", "{0} tasks were successfully toggled"),
)  # fmt: skip
"""Of django-celery-beat, which knows other languages than ours."""
