"""docs/configuration.md, made from the declarations that the reader uses, so that it cannot say anything else. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from typing import Any

from providers.adapter_options import COMMON, Option
from providers.adapters import REGISTRY
from routing.configuration.document import (
    AliasEntry,
    BudgetEntry,
    Condensation,
    Configuration,
    ConsulSource,
    Discovery,
    KeyEntry,
    KubernetesSource,
    PayloadLogging,
    PolicyEntry,
    RegistrySource,
    ResponseCache,
    TeamEntry,
)
from routing.configuration.kinds import Kind, ListOf, MapOf, OrNull
from routing.configuration.provider_entry import CredentialEntry, ModelEntry, ProviderEntry, Timeouts
from routing.configuration.sections import Key, Section, keys_of

HEAD = """# Configuration

<!-- Written by `manage.py configuration_reference`; a test fails when it is out of date. -->

A gateway is configured by documents in YAML or JSON: `config.example.yaml` is one. The database is the one truth; a
document is loaded into it, as a whole or not at all.

| command | does |
|---|---|
| `manage.py load_config FILE` | loads a document; `--dry-run` shows the difference, `--prune` removes what it brought before |
| `manage.py dump_config` | prints what is in force as a document; secrets appear as references; says what it leaves out |
| `manage.py validate_env --config FILE` | checks environment, document and connections, with a remedy for each finding |
| `manage.py rollback_config N` | puts revision N in force again |
| `manage.py import_litellm FILE` | turns a LiteLLM proxy's configuration into such a document |
| `manage.py discover_providers` | looks for providers in the sources of `discovery` |

**Hot reload.** The file that `PROXY_API_CONFIG` names is loaded when the gateway starts and again within two seconds of
a change. Entries that left the file are removed, unless another file was loaded with them since: an entry belongs to the
file that was loaded last. Names that are left without a model are warned of. A broken file is refused with line and
remedy, and what is in force stays. `--prune` leaves alone what belongs to another file in the same way; `--prune-others`
does not, for files that are lost. Replace the file (write another, rename it), as editors and Kubernetes do. Variables
are read at the start: an unchanged file's `api_keys` with an `env` follow them then.

**Absent keys.** A top-level key that a document does not give stays as it is. Inside an entry (a provider, an alias …)
an absent key has its default. Loading the same document twice changes nothing the second time.

**Who manages what.** Entries from a file are read-only in the admin. `managed_by: admin` leaves an entry editable;
loading the document again overwrites what was edited. A provider under a new name is a new one, and the secret that was
stored for the old one leaves with it (which is warned of), unless `renamed_from` says what it was called.

**Secrets.** No dump, difference or page shows the value of a header: `null` in its place is the value that is stored, as
`credentials` without `env` are the stored secrets. Elsewhere than where they are stored, such a document is loaded without
them, and each is warned of. A variable that is not set is warned of, too.

**Aliases** lead to models and to `provider/model`. A target that is another alias is refused, as it led nowhere or in a
circle; in `fallbacks` aliases can name each other, since each is tried once.

**Moving.** API keys, prices, and limits and budgets that hold for everybody have no place in a document: `dump_config` counts
what it leaves out. [A whole installation](operations.md#move-to-another-database) moves with its database.

**History.** Each change, whoever makes it, is a numbered revision with author, time, reason and difference; answers name
the revision they were made under (`x-llm-proxy-revision`). What was rolled back to is in force until the followed file
changes, over restarts too. Rolling back never brings a withdrawn API key back, and money
that was spent stays spent.

**Environment.** `.env.example` lists its variables. Where a variable and a key mean the same, the variable wins.

## Through a proxy

Where providers are reached through a proxy, the variables that other programs read are read here, too. Each process wants
them: workers, `celery worker`, both roles. The lower-case spelling wins, a variable that is empty is not set, and
`HTTPS_PROXY_FILE` names a file that holds the value. What changed is in force after the next start, whose log says so.

| variable | meaning |
|---|---|
| `HTTPS_PROXY` | the proxy for `https://` addresses, written as `http://[user:password@]host:port` |
| `HTTP_PROXY` | the proxy for `http://` addresses, in the same form |
| `NO_PROXY` | who is called directly: names, addresses and networks, separated by commas; `*` for all |

For `https://` the proxy is asked for a tunnel (CONNECT): it learns the provider's name and nothing of the call, and cannot
stand in for the provider. For `http://` it sees the whole call, the key included. In `NO_PROXY` `example.com` (also
`.example.com`) stands for this name and all below it, `10.0.0.0/8` for addresses that are written as such: no name is
resolved for it. Each may end with `:port`, and then stands for that port alone.

What lies near is always called directly: `localhost`, loopback and private addresses, names without a dot, and names below
`.localhost`, `.local`, `.internal` and `.svc`. A server of yours that only the proxy can reach needs another name.

| who | goes through it |
|---|---|
| calls, whole and streamed; the admin's *Test* and lists of models; health probes | yes |
| discovery: registry, Consul, Kubernetes | yes; a pod's own cluster and an agent on this machine lie near |
| PostgreSQL, Redis | no |
| prices of the catalogue | they come with the program: nobody is asked |
| traces | OpenTelemetry reads the variables by itself: put the host of a collector nearby into `NO_PROXY` |

A proxy with another scheme (`socks5://`, `https://`) or without one is refused at the start, and `ALL_PROXY` is not read. An
entry of `NO_PROXY` that means nothing here is no obstacle: `manage.py validate_env` names it, and says whether the proxies
answer. User and password stand in no log, page, dump or error. A proxy that opens TLS to look inside signs with an authority
of its own: `SSL_CERT_FILE` names a file of authorities that holds it. `docker/compose.yaml` passes on the variables that it
lists, and `docker/k8s/network-policy.yaml` lets out to port 443 only: add the proxy to them.
"""

SECTIONS: tuple[tuple[str, type], ...] = (
    ("The document", Configuration),
    ("providers[]", ProviderEntry),
    ("providers[].models[]", ModelEntry),
    ("providers[].credentials[]", CredentialEntry),
    ("providers[].timeouts", Timeouts),
    ("api_keys[]", KeyEntry),
    ("model_aliases.NAME", AliasEntry),
    ("route_policies[]", PolicyEntry),
    ("teams.NAME", TeamEntry),
    ("teams.NAME.budgets[]", BudgetEntry),
    ("condensation", Condensation),
    ("response_cache", ResponseCache),
    ("payload_logging", PayloadLogging),
    ("discovery", Discovery),
    ("discovery.registry", RegistrySource),
    ("discovery.consul", ConsulSource),
    ("discovery.kubernetes", KubernetesSource),
)


def reference() -> str:
    return HEAD + "".join(f"\n## {title}\n\n{_table(section)}" for title, section in SECTIONS) + _options()


def _table(section: type) -> str:
    return "\n".join(_rows(section)) + "\n"


def _rows(section: type) -> Iterator[str]:
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for item in keys_of(section):
        names = " or ".join(f"`{name}`" for name in (item.name, *item.aliases))
        yield f"| {names} | {_kind(item.kind)} | {_default(item)} | {_cell(item.meaning)} |"


def _options() -> str:
    lines = [
        "",
        "## options of providers[] and models[]",
        "",
        "Any other is refused, in a document, in the admin and by `/api/`.",
        "",
        "| kind | option | of | value | default | meaning |",
        "|---|---|---|---|---|---|",
    ]
    for kind, declared in (("every", COMMON), *((kind, REGISTRY[kind].own_options) for kind in sorted(REGISTRY))):
        lines += [f"| {_name_of(kind)} | {_option(each)} |" for each in declared]
    return "\n".join(lines) + "\n"


def _name_of(kind: str) -> str:
    return f"`{kind}`" if kind in REGISTRY else kind


def _option(option: Option) -> str:
    owners = [owner for owner, has in (("provider", option.of_provider), ("model", option.of_model)) if has]
    return " | ".join(
        (f"`{option.name}`", " and ".join(owners), _cell(option.rule.label), option.default, _cell(option.meaning))
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _kind(kind: Kind) -> str:
    """Sections have a table of their own, so their keys are not repeated here."""
    if isinstance(kind, OrNull):
        return f"{_kind(kind.kind)}, or null"
    if isinstance(kind, ListOf) and isinstance(kind.kind, Section):
        return "a list, see below"
    if isinstance(kind, MapOf) and isinstance(kind.value, Section):
        return "a mapping by name, see below"
    if isinstance(kind, Section):
        return "a mapping, see below"
    return _cell(kind.label)


def _default(item: Key) -> str:
    if item.default is MISSING:
        return "required"
    if isinstance(item.kind, Section):
        return ""
    return f"`{_shown(item.default)}`"


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    if isinstance(value, str):
        return value or '""'
    return f"{value:g}" if isinstance(value, float) else str(value)
