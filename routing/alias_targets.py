"""What an alias may lead to: models. One that leads to an alias leads nowhere, or in a circle. Fallbacks may be either."""

from collections.abc import Collection, Iterable
from fnmatch import fnmatch

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from providers.models import Deployment
from routing.models import ModelAlias


def known_models() -> set[str]:
    """Names of models, and the same with their provider before them."""
    rows = Deployment.objects.values_list("provider__name", "model")
    return {name for provider, model in rows for name in (model, f"{provider}/{model}")}


def known_names() -> set[str]:
    """Everything a fallback may be called: models, provider/model, and aliases."""
    return known_models().union(ModelAlias.objects.values_list("name", flat=True))


def check_known(words: Iterable[str], known: Collection[str]) -> None:
    unknown = [word for word in words if word not in known]
    if not unknown:
        return
    near = sorted(name for name in known if any(fnmatch(name.lower(), f"*{word.lower()}*") for word in unknown))[:5]
    text = _("Nothing serves %(names)s.") % {"names": ", ".join(unknown)}
    raise ValidationError(f"{text} {_('Did you mean %(names)s?') % {'names': ', '.join(near)}}" if near else text)


def are_aliases(targets: Iterable[str], *, of: str, models: Collection[str]) -> list[str]:
    """Those targets of the alias called `of` that are no models, but it itself or another alias."""
    suspects = [target for target in targets if target not in models]
    aliases = {of, *ModelAlias.objects.filter(name__in=suspects).values_list("name", flat=True)}
    return [target for target in suspects if target in aliases]


def leads_to_aliases(names: Iterable[str]) -> str:
    return _("An alias leads to models, and %(names)s is an alias. It can be a fallback.") % {"names": ", ".join(names)}
