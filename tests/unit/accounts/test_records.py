from accounts.records import COST, FINAL, INPUT_TOKENS, OUTPUT_TOKENS, CallRecord


def test_what_a_settlement_adds_up_is_where_it_is_looked_for():
    named = [CallRecord._fields[position] for position in (FINAL, INPUT_TOKENS, OUTPUT_TOKENS, COST)]
    assert named == ["final", "input_tokens", "output_tokens", "cost_nano_usd"]
