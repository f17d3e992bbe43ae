from hypothesis import given
from hypothesis import strategies as st

from accounts.pricing import cost_nano_usd, dearest
from accounts.records import Rates, Tokens

USD = 1_000_000_000
RATES = Rates(input=3 * USD, output=15 * USD, cached_input=3 * USD // 10, cache_write=375 * USD // 100)


def test_cached_and_written_tokens_are_not_paid_twice():
    tokens = Tokens(input=1_000_000, cached=600_000, cache_write=100_000, output=100_000)

    assert (
        cost_nano_usd(tokens, RATES) == USD * 900 // 1000 + USD * 180 // 1000 + USD * 375 // 1000 + USD * 1500 // 1000
    )


def test_reasoning_has_its_own_price_where_there_is_one():
    tokens = Tokens(output=1_000_000, reasoning=400_000)

    assert cost_nano_usd(tokens, RATES) == 15 * USD
    assert cost_nano_usd(tokens, RATES._replace(reasoning=20 * USD)) == 9 * USD + 8 * USD


def test_audio_has_its_own_prices_where_there_are_some():
    tokens = Tokens(input=1_000, audio_input=400, output=100, audio_output=60)
    loud = RATES._replace(audio_input=40 * USD, audio_output=80 * USD)

    assert cost_nano_usd(tokens, RATES) * 10**6 == (1_000 * 3 + 100 * 15) * USD
    assert cost_nano_usd(tokens, loud) * 10**6 == (600 * 3 + 400 * 40 + 40 * 15 + 60 * 80) * USD


def test_audio_from_the_cache_is_paid_as_cached():
    tokens = Tokens(input=1_000, cached=1_000, audio_input=400)

    assert cost_nano_usd(tokens, RATES._replace(audio_input=40 * USD)) == cost_nano_usd(tokens, RATES)


def test_what_is_kept_for_an_hour_costs_more_than_for_five_minutes():
    tokens = Tokens(input=1_000, cache_write=1_000, cache_write_1h=300)

    assert cost_nano_usd(tokens, RATES) == cost_nano_usd(tokens._replace(cache_write_1h=0), RATES)
    assert cost_nano_usd(tokens, RATES._replace(cache_write_1h=6 * USD)) * 10**8 == (700 * 375 + 300 * 600) * USD


def test_searches_have_a_price_per_thousand_beside_what_the_tokens_cost():
    tokens, searching = Tokens(input=1_000, output=100, searches=3), RATES._replace(search=10 * USD)

    assert cost_nano_usd(tokens, searching) == cost_nano_usd(tokens._replace(searches=0), RATES) + 3 * USD // 100
    assert cost_nano_usd(tokens, RATES) == cost_nano_usd(tokens._replace(searches=0), RATES)
    assert cost_nano_usd(Tokens(searches=1), RATES._replace(search=1)) == 1


def test_a_fraction_of_a_nano_dollar_is_rounded_up_once():
    assert cost_nano_usd(Tokens(input=1), Rates(input=1, output=1)) == 1
    assert cost_nano_usd(Tokens(input=1, output=1), Rates(input=1, output=1)) == 1
    assert cost_nano_usd(Tokens(), Rates(input=1, output=1)) == 0


def test_an_unset_price_of_zero_is_free_and_not_unset():
    assert cost_nano_usd(Tokens(input=10, cached=10), Rates(input=USD, output=0, cached_input=0)) == 0


amounts = st.integers(0, 10**7)
prices = st.integers(0, 10**11)
rates = st.builds(
    Rates,
    input=prices,
    output=prices,
    cached_input=st.none() | prices,
    cache_write=st.none() | prices,
    reasoning=st.none() | prices,
    cache_write_1h=st.none() | prices,
    audio_input=st.none() | prices,
    audio_output=st.none() | prices,
)


@given(rates, amounts, amounts, st.data())
def test_the_dearest_is_never_below_the_real_cost(rates, total_in, total_out, data):
    cached = data.draw(st.integers(0, total_in))
    written = data.draw(st.integers(0, total_in - cached))
    reasoning = data.draw(st.integers(0, total_out))
    tokens = Tokens(
        input=total_in,
        output=total_out,
        cached=cached,
        cache_write=written,
        reasoning=reasoning,
        cache_write_1h=data.draw(st.integers(0, written)),
        audio_input=data.draw(st.integers(0, total_in)),
        audio_output=data.draw(st.integers(0, total_out)),
    )

    assert cost_nano_usd(tokens, rates) <= dearest(rates, total_in, total_out)
