"""What pages say: causes in the reader's language, amounts that can be read, one incident for one outage."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import translation

from monitoring.breaker import Breaker, BreakerPolicy
from monitoring.live_facts import incidents
from monitoring.models import Incident
from monitoring.templatetags.dashboard_format import percent, seconds, share, usd
from monitoring.views.words import causes, in_words
from providers import errors
from providers.models import Deployment, Provider

NOW = datetime(2026, 12, 31, 12, tzinfo=UTC)


def test_what_a_breaker_says_is_said_in_portuguese() -> None:
    breaker = Breaker(BreakerPolicy(threshold=2), draw=lambda: 0.5)
    for now in (1.0, 2.0):
        breaker.failed(breaker.start(now), now, "timeout")
    with translation.override("pt-br"):
        assert in_words(breaker.cause) == "2 falhas seguidas: não respondeu a tempo"
        assert (
            in_words(f"another worker: {breaker.cause}") == "outro processo: 2 falhas seguidas: não respondeu a tempo"
        )
        assert in_words("held_open") == "mantido aberto por um operador"
        assert in_words("model {x} is {0} overloaded") == "model {x} is {0} overloaded"


def test_every_way_in_which_an_attempt_can_fail_is_said_in_portuguese() -> None:
    reasons = {each.reason for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "reason")}
    with translation.override("en"):
        english = causes()
    with translation.override("pt-br"):
        portuguese = causes()
    assert reasons - {word for word in english if portuguese[word] != english[word]} == set()


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        (0, "$0"),
        (0.0000291, "$0.000029"),
        (0.00066, "$0.00066"),
        (0.0629, "$0.0629"),
        (1234.5, "$1,234.50"),
        (-0.00066, "-$0.00066"),
        (-1234.5, "-$1,234.50"),
        (0.001955188, "$0.0020"),
        (0.00158, "$0.0016"),
        (1.999, "$2.00"),
    ],
)
def test_an_amount_is_written_with_the_digits_that_say_something(dollars: float, text: str) -> None:
    with translation.override("en"):
        assert usd(dollars) == text


@pytest.mark.parametrize(
    ("value", "written", "text"),
    [
        (0.0999, seconds, "100 ms"),
        (0.00257, seconds, "2.6 ms"),
        (9.996, seconds, "10.00 s"),
        (0.998, share, "100 %"),
        (12.346, percent, "12.35 %"),
    ],
)
def test_a_figure_is_rounded_as_the_browser_rounds_it(value: float, written: Callable[[float], str], text: str) -> None:
    with translation.override("en"):
        assert written(value) == text


@pytest.mark.django_db
def test_an_outage_of_a_provider_is_not_told_again_for_each_of_its_models() -> None:
    provider = Provider.objects.create(name="one", base_url="http://127.0.0.1:9/v1")
    model = Deployment.objects.create(provider=provider, model="small")

    def incident(minutes_ago: int, minutes: int | None, *, of_model: bool) -> Incident:
        began = NOW - timedelta(minutes=minutes_ago)
        return Incident.objects.create(
            provider=model.provider,
            deployment=model if of_model else None,
            name=f"{'model' if of_model else 'provider'} {minutes_ago}",
            started_at=began,
            ended_at=None if minutes is None else began + timedelta(minutes=minutes),
        )

    incident(10, None, of_model=False)
    incident(9, None, of_model=True)
    incident(60, 5, of_model=True)
    assert [each["name"] for each in incidents(NOW)] == ["provider 10", "model 60"]


@pytest.mark.django_db
def test_an_outage_that_goes_on_is_told_first_however_many_began_and_ended_since() -> None:
    began = NOW - timedelta(days=2)
    Incident.objects.create(name="goes on", started_at=began)
    for minutes in range(60):
        at = NOW - timedelta(hours=2, minutes=minutes)
        Incident.objects.create(name="comes and goes", started_at=at, ended_at=at + timedelta(seconds=30))
    told = incidents(NOW)
    assert [each["name"] for each in told] == ["goes on"] + ["comes and goes"] * 11
    assert told[1]["from"] == round((NOW - timedelta(hours=2)).timestamp())
