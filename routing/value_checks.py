"""Validators of rows by the document's own kinds: what a file cannot say, the admin and the API do not let in either."""

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from routing import policy_options
from routing.configuration import values
from routing.configuration.stored import fault_of, section_fault


def check_model_names(names: Any) -> None:
    if fault_of(values.MODELS, names) is not None:
        raise ValidationError(_("This is a JSON list of model names, each once."))


def check_policy_options(options: Any) -> None:
    if not isinstance(options, dict):
        return
    for name, advice in policy_options.unknown(options):
        raise ValidationError(
            _("There is no option '%(name)s'; expected %(names)s") % {"name": name[:64], "names": advice}
        )
    if wrong := list(policy_options.problems(options)):
        raise ValidationError(_("A number of at least 0 is expected for %(names)s.") % {"names": ", ".join(wrong)})


def check_origins(origins: Any) -> None:
    if not isinstance(origins, list):
        raise ValidationError(_("This is a JSON list of origins."))
    for position, origin in enumerate(origins):
        if fault_of(values.ORIGIN, origin) is not None or origin in origins[:position]:
            raise ValidationError(
                _("'%(origin)s' is not an origin; write https://host[:port].") % {"origin": str(origin)[:200]}
            )


def check_key_header(name: Any) -> None:
    if fault_of(values.KEY_HEADER, name) is not None:
        raise ValidationError(_("The name of a header that is not taken, such as X-API-Key."))


def check_condensation(section: Any) -> None:
    _check_section("condensation", section)


def check_response_cache(section: Any) -> None:
    _check_section("response_cache", section)


def check_payload_logging(section: Any) -> None:
    _check_section("payload_logging", section)


def check_discovery(section: Any) -> None:
    _check_section("discovery", section)


def _check_section(name: str, section: Any) -> None:
    if (fault := section_fault(name, section)) is not None:
        raise ValidationError(fault)
