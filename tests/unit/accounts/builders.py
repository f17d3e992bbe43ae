"""Values for tests, with only what a test cares about spelled out."""

from accounts.records import AttemptIntent, CallRecord, Rates


def intent(attempt: int = 1, **changes) -> AttemptIntent:
    return AttemptIntent(
        attempt=attempt,
        provider="openai",
        deployment="openai/gpt-4o",
        model="gpt-4o",
        upstream_model="gpt-4o",
        endpoint="chat/completions",
        stream=True,
        input_tokens=10,
        rates=Rates(input=2_000_000, output=8_000_000),
    )._replace(**changes)


def record(attempt: int = 1, **changes) -> CallRecord:
    return CallRecord(
        attempt=attempt,
        status=200,
        usage_source="provider",
        provider="openai",
        deployment="openai/gpt-4o",
        model="gpt-4o",
        upstream_model="gpt-4o",
        endpoint="chat/completions",
        input_tokens=10,
        output_tokens=5,
        cost_nano_usd=60,
        provider_cost_nano_usd=60,
    )._replace(**changes)
