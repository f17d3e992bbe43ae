"""The document's providers, with their credentials and models, into their tables. Called inside `apply`'s transaction."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from accounts.models import Price
from providers.models import Credential, Deployment, Provider, Source
from routing.configuration.columns import model_columns, provider_columns
from routing.configuration.provider_entry import CredentialEntry, ProviderEntry, ResolvedProvider
from routing.configuration.rows import save_if_different, written_for
from routing.configuration.schema import resolve
from routing.configuration.veiled import shown_variable
from rows.file_rows import FILE


def provider(entry: ProviderEntry, path: str, *, secret_of: Callable[[str], str], prune: bool) -> list[str]:
    """Returns warnings."""
    resolved = resolve(entry)
    columns = provider_columns(resolved)
    with written_for(path):
        known, warnings = _known(entry)
        columns["headers"], unknown = _headers(entry, known)
        if known is not None and (known.source, entry.managed_by) == (Source.DEMO, Source.DEMO):
            # Of another installation's perhaps: the demo listens where this one's server has put it.
            columns["base_url"] = known.base_url
        row = save_if_different(Provider, {"name": entry.name}, {**columns, "name": entry.name}, known=known)
        credentials, lost = _credentials(row, resolved, prune=prune)
    warnings += lost
    _models(row, entry, path)
    warnings += [f"{key}: no value is stored, so it is not sent" for key in unknown]
    return warnings + [f"providers.{entry.name}.{said}" for said in _without_key(credentials, resolved, secret_of)]


def remove(names: Collection[str]) -> list[str]:
    """A secret that was typed in goes with its provider, and exists nowhere else: returns warnings of that."""
    warnings = []
    for row in Provider.objects.filter(source=FILE, name__in=names):
        if row.credentials.exclude(ciphertext="").exists():
            warnings.append(
                f"providers: {row.name} leaves, and the secret that is stored for it; under a new name it keeps it with "
                f"`renamed_from: {row.name}`, and rolling back brings it back"
            )
        row.delete()
    return warnings


def _known(entry: ProviderEntry) -> tuple[Provider | None, list[str]]:
    """The row that is to be the entry's, if there is one, under its former name perhaps; and warnings."""
    row = Provider.objects.filter(name=entry.name).first()
    former = Provider.objects.filter(name=entry.renamed_from).first() if entry.renamed_from else None
    if row is None:
        for price in Price.objects.filter(provider=former.name) if former else ():
            price.provider = entry.name
            price.save()
        if entry.renamed_from and former is None:
            return None, [
                f"providers.{entry.name}.renamed_from: there is no {entry.renamed_from}, so it is a new one and has no "
                "secret that was typed in"
            ]
        return former, []
    said = f"providers.{entry.name}.renamed_from: {entry.renamed_from} is there beside it, and stays as it is"
    return row, [said] if former else []


def _headers(entry: ProviderEntry, known: Provider | None) -> tuple[dict[str, str], list[str]]:
    """What to store, and the paths of those that have no value."""
    stored = known.headers if known is not None and isinstance(known.headers, dict) else {}
    values = {name: stored.get(name) if value is None else str(value) for name, value in entry.headers.items()}
    unknown = [f"providers.{entry.name}.headers.{name}" for name, value in values.items() if value is None]
    return {name: value for name, value in values.items() if value is not None}, unknown


def _credentials(row: Provider, resolved: ResolvedProvider, *, prune: bool) -> tuple[list[Credential], list[str]]:
    """Returns those of the entry, in its order; and warnings."""
    lost = []
    existing = {credential.name: credential for credential in row.credentials.all()}
    found = []
    for entry in resolved.credentials:
        columns: dict[str, Any] = {"weight": entry.weight, "enabled": entry.enabled}
        if entry.env is not None:
            columns |= {"environment_variable": entry.env, "ciphertext": "", "hint": ""}
        elif entry.name in existing:
            columns["environment_variable"] = ""
        found.append(save_if_different(Credential, {"provider": row, "name": entry.name}, columns))
    if resolved.entry.managed_by == FILE:
        named = {entry.name for entry in resolved.credentials}
        for name, credential in existing.items():
            # A secret typed into the admin exists nowhere else: only --prune takes it away.
            if name not in named and (prune or not credential.ciphertext):
                if credential.ciphertext:
                    lost.append(
                        f"providers.{row.name}.credentials: {name} leaves, and the secret that is stored for it; named in "
                        "`credentials` it stays, and rolling back brings it back"
                    )
                credential.delete()
    return found, lost


def _without_key(rows: list[Credential], resolved: ResolvedProvider, secret_of: Callable[[str], str]) -> Iterator[str]:
    for row, entry in zip(rows, resolved.credentials, strict=True):
        if not (entry.enabled and resolved.entry.enabled):
            continue
        if entry.env is not None and not secret_of(entry.env):
            yield f"{_where(resolved.entry, entry)}: no variable {shown_variable(entry.env)} is set here, so it gives no key"
        elif entry.env is None and not row.ciphertext:
            yield f"credentials.{entry.name}: no secret is stored"


def _where(entry: ProviderEntry, credential: CredentialEntry) -> str:
    if entry.credentials:
        return f"credentials.{credential.name}.env"
    return "api_keys_env" if entry.api_keys_env is not None else "api_key_env"


def _models(row: Provider, entry: ProviderEntry, path: str) -> None:
    existing = {deployment.model: deployment for deployment in row.deployments.all()}
    for index, model in enumerate(entry.models):
        columns = model_columns(model, entry)
        known = existing.pop(model.name, None)
        with written_for(f"{path}.models[{index}]"):
            save_if_different(Deployment, {"provider": row, "model": model.name}, columns, known=known)
    if entry.managed_by == FILE:
        for deployment in existing.values():
            if deployment.source == FILE:
                deployment.delete()
