"""What of a LiteLLM proxy's configuration is there, but not in the document: where it is. Pure."""

from typing import Final

NOTHING: Final = "has no equivalent"

_REDIS: Final = "not in the document: with REDIS_URL in the environment, limits and cached answers are shared in Redis"
_BUDGETS: Final = (
    "not taken over: budgets belong to teams (`teams.NAME.budgets`) and keys (`create_api_key --budget-usd`)"
)
_LIMITS: Final = "not taken over: limits belong to teams (`teams.NAME.max_concurrency`) and keys (`create_api_key`)"
_DATABASE: Final = (
    "not in the document: DATABASE_URL in the environment, for a database of its own; keys and teams in LiteLLM's are not "
    "taken over (`api_keys` may hold keys that clients have)"
)
_CALLBACKS: Final = "not needed for metrics (/metrics) and traces (docs/operations.md); others have no equivalent"
_ENTRA: Final = "not taken over: give a key, or a token of Entra in a variable with the option `auth: bearer`"
_REQUESTS: Final = "has no equivalent: clients say it in their requests"

_ELSEWHERE: Final = {
    "type": _REDIS, "host": _REDIS, "port": _REDIS, "password": _REDIS, "url": _REDIS,
    "redis_host": _REDIS, "redis_port": _REDIS, "redis_password": _REDIS, "redis_url": _REDIS,
    "max_budget": _BUDGETS, "budget_duration": _BUDGETS,
    "default_max_parallel_requests": _LIMITS, "max_parallel_requests": _LIMITS, "global_max_parallel_requests": _LIMITS,
    "callbacks": _CALLBACKS, "success_callback": _CALLBACKS, "failure_callback": _CALLBACKS,
    "database_url": _DATABASE,
    "alerting": "not in the document: rules for Prometheus are in docker/prometheus/alerts.yml",
    "database_connection_pool_limit": "not in the document: PROXY_API_DATABASE_POOL in the environment",
    "store_model_in_db": "models that stand in LiteLLM's database alone are not taken over",
    "salt_key": "not in the document: PROXY_API_ENCRYPTION_KEYS in the environment",
    "store_prompts_in_spend_logs": "not taken over: `payload_logging`",
    "turn_off_message_logging": "always so, where `payload_logging` is not on",
    "maximum_spend_logs_retention_period": "not in the document: PROXY_API_USAGE_RETENTION_DAYS in the environment",
    "allowed_ips": "not taken over: addresses belong to keys (`create_api_key --allow-ip`)",
    "set_verbose": "not taken over: `log_level: DEBUG`",
    "json_logs": "always so",
    "enable_pre_call_checks": "always so, where a deployment's `context_window` is known",
    "drop_params": "no switch: docs/providers.md says what each kind drops and what it refuses",
    "enable_tag_filtering": "always so, for requests with `x-llm-proxy-tags`",
    "environment_variables": "not in the document: set them where the gateway starts, or in .env",
    **dict.fromkeys(("tenant_id", "client_id", "client_secret", "azure_ad_token"), _ENTRA),
    **dict.fromkeys(("temperature", "top_p", "max_tokens", "reasoning_effort", "thinking", "thinking_level"), _REQUESTS),
}  # fmt: skip


def elsewhere(name: str, nothing: str = NOTHING) -> str:
    """What to say of the setting `name`, whichever section it stood in; `nothing` where there is no such thing here."""
    return _ELSEWHERE.get(name, nothing)
