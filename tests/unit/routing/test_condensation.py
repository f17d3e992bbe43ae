"""A conversation that is too long loses what it can spare, in order, and nothing that it cannot."""

import random
from itertools import chain
from typing import Any

import pytest

from providers.errors import (
    ClientFault,
    ContextOverflow,
    CredentialRejected,
    RateLimited,
    ServerFailed,
    UpstreamError,
)
from routing.condensation import (
    Receipt,
    TooLong,
    aim,
    condense,
    insert_note,
    merge_steps,
    overflow_by_keyword,
    switched_on,
    too_long,
)
from routing.condensation.policy import target_tokens
from routing.condensation.trimming import trim
from routing.configuration.document import Condensation
from routing.estimation import message_tokens
from routing.plan import make_plan
from routing.route_query import Draws, RouteQuery
from routing.strategies import STRATEGIES
from tests.unit.routing.conversations import conversation, orphans
from tests.unit.routing.pools import candidate

SYSTEM = {"role": "system", "content": "Answer in French."}
GENERATED = 10_000


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def call(*ids: str) -> dict[str, Any]:
    calls = [{"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}} for each in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(id: str, text: str = "r") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": text}


def size(messages: list[dict[str, Any]]) -> int:
    return sum(message_tokens(message) for message in messages)


# ---------------------------------------------------------------------------------------------------------- steps


def test_leaves_a_conversation_that_fits_as_it_is() -> None:
    messages = [SYSTEM, user("a"), assistant("b"), user("c")]
    done = condense(messages, target=1000)
    assert done.messages == messages
    assert done.steps == ()
    assert done.after <= 1000


def test_drops_whole_turns_from_the_oldest_on() -> None:
    turns = [[user(f"q{n} " + "x" * 400), assistant(f"a{n}")] for n in range(5)]
    messages = [SYSTEM, *chain(*turns), user("now")]
    done = condense(messages, target=size([SYSTEM, *turns[3], *turns[4], user("now")]))
    assert done.messages == [SYSTEM, *turns[3], *turns[4], user("now")]
    assert done.steps == ("drop_turns:3",)
    assert done.dropped == tuple(chain(*turns[:3]))


def test_trims_tool_output_before_it_gives_up_the_last_earlier_turn() -> None:
    log = "line " * 2000
    messages = [user("read the log"), call("c1"), result("c1", log), assistant("It says line."), user("which line?")]
    done = condense(messages, target=400)
    assert [message["role"] for message in done.messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert done.steps == ("trim_tools:1",)
    assert done.after <= 400
    shortened = done.messages[2]["content"]
    assert shortened.startswith("line line")
    assert shortened.endswith("line ")
    assert "characters left out" in shortened


def test_truncates_long_answers_when_there_is_no_tool_output_to_trim() -> None:
    messages = [user("write"), assistant("word " * 3000), user("shorter")]
    done = condense(messages, target=500)
    assert done.steps == ("truncate:1",)
    assert done.messages[0] == messages[0]
    assert done.messages[2] == messages[2]
    assert done.after <= 500


def test_drops_the_oldest_exchanges_of_a_long_tool_loop_and_keeps_the_newest() -> None:
    loop = [message for n in range(40) for message in (call(f"c{n}"), result(f"c{n}", "out " * 30))]
    messages = [SYSTEM, user("fix the tests"), *loop]
    done = condense(messages, target=600)
    assert done.after <= 600
    assert done.messages[:2] == [SYSTEM, user("fix the tests")]
    assert done.messages[-2] == call("c39")
    assert done.messages[-1]["tool_call_id"] == "c39"
    assert orphans(done.messages) == []


def test_keeps_what_must_stay_also_when_it_is_too_long_by_itself() -> None:
    messages = [SYSTEM, user("old"), assistant("old"), user("x" * 4000)]
    done = condense(messages, target=100)
    assert done.after > 100
    assert done.messages == [SYSTEM, messages[-1]]


def test_a_result_far_from_its_call_joins_the_turns_between() -> None:
    messages = [user("a"), call("c1"), user("wait"), result("c1", "x" * 400), assistant("ok"), user("b " + "y" * 50)]
    done = condense(messages, target=40)
    assert done.messages == [messages[-1]]
    assert done.steps == ("drop_turns:1",)


def test_a_conversation_without_a_user_keeps_its_newest_message() -> None:
    messages = [SYSTEM, assistant("a" * 400), assistant("b" * 400), assistant("c")]
    done = condense(messages, target=30)
    assert done.messages == [SYSTEM, assistant("c")]


def test_parts_of_a_message_are_trimmed_one_by_one() -> None:
    parts = [{"type": "text", "text": "z" * 8000}, {"type": "text", "text": "short"}]
    messages = [user("q"), call("c1"), {"role": "tool", "tool_call_id": "c1", "content": parts}, user("?")]
    done = condense(messages, target=300)
    assert done.messages[2]["content"][1] == parts[1]
    assert len(done.messages[2]["content"][0]["text"]) < 1500
    assert parts[0]["text"] == "z" * 8000


@pytest.mark.parametrize("tokens", [16, 48, 100, 1000])
def test_a_trimmed_text_is_never_longer_than_asked_and_stays_text(tokens: int) -> None:
    text = "數據é😀 plain " * 2000
    shorter = trim(text, tokens)
    assert len(shorter.encode()) <= max(tokens * 4, 64)
    assert text.startswith(shorter[: shorter.index("\n")])


def test_the_note_follows_the_leading_instructions() -> None:
    developer = {"role": "developer", "content": "d"}
    note = insert_note([SYSTEM, developer, user("q"), SYSTEM], "left out")
    assert [message["content"] for message in note] == ["Answer in French.", "d", "left out", "q", "Answer in French."]


# ------------------------------------------------------------------------------------------------------ promises


def test_ten_thousand_conversations_keep_their_instructions_their_question_and_their_pairs() -> None:
    draw = random.Random(7)
    fitting = 0
    for _ in range(GENERATED):
        messages = conversation(draw, size=15)
        assert orphans(messages) == []
        before = size(messages)
        target = draw.randint(1, before)
        done = condense(messages, target=target)
        pinned = [message for message in messages if message["role"] in ("system", "developer")]
        assert [message for message in done.messages if message["role"] in ("system", "developer")] == pinned
        questions = [message for message in messages if message["role"] == "user"]
        assert [message for message in done.messages if message["role"] == "user"][-1] is questions[-1]
        assert orphans(done.messages) == []
        assert done.after == size(done.messages)
        assert done.before == before
        assert done.messages[-1]["role"] == messages[-1]["role"]
        fitting += done.after <= target
    assert fitting > GENERATED / 3


def test_condensing_twice_changes_nothing_more() -> None:
    draw = random.Random(8)
    for _ in range(300):
        messages = conversation(draw, size=40)
        target = size(messages) // 2
        once = condense(messages, target=target)
        if once.after <= target:
            assert condense(once.messages, target=target).messages == once.messages


def test_the_first_retry_fits_nearly_always() -> None:
    """Texts whose true tokens are known, in languages that our estimate misjudges by up to two; half of the upstreams
    say how many they counted."""
    draw = random.Random(9)
    policy = Condensation()
    fitted = total = 0
    for _ in range(700):
        messages = conversation(draw, turns=draw.randint(4, 12), size=150)
        truth = draw.uniform(0.6, 1.9)
        estimated = size(messages)
        must_stay = size(condense(messages, target=0).messages) * truth
        window = int(estimated * truth * draw.uniform(0.3, 0.95))
        if must_stay > window * 0.45:
            continue
        told = int(estimated * truth) if draw.random() < 0.5 else None
        target = aim(TooLong(window=window, requested_tokens=told), policy, estimated=estimated, output=0, failures=0)
        total += 1
        fitted += size(condense(messages, target=target).messages) * truth <= window
    assert total > 300
    assert fitted / total >= 0.99


# ------------------------------------------------------------------------------------------------ policy and target


def test_aims_at_a_share_of_the_window_and_lower_after_each_failure() -> None:
    policy = Condensation(adaptive_factor=0.5)
    assert [target_tokens(policy, window=8000, output=100, failures=n) for n in range(3)] == [4000, 2000, 1000]
    eager = Condensation(adaptive_factor=1.0)
    assert [target_tokens(eager, window=8000, output=0, failures=n) for n in range(2)] == [8000, 6000]


def test_leaves_room_for_the_answer() -> None:
    policy = Condensation(adaptive_factor=0.9, max_tokens_default=3000)
    assert target_tokens(policy, window=8000, output=None, failures=0) == 5000
    assert target_tokens(policy, window=8000, output=2000, failures=0) == 6000
    assert target_tokens(policy, window=8000, output=9000, failures=0) == 0


def test_corrects_its_estimate_by_what_the_upstream_counted() -> None:
    policy = Condensation(adaptive_factor=0.5)
    plain = aim(TooLong(window=8000), policy, estimated=10_000, output=0, failures=0)
    dense = aim(TooLong(window=8000, requested_tokens=20_000), policy, estimated=10_000, output=0, failures=0)
    assert (plain, dense) == (4000, 2000)
    assert aim(TooLong(window=None), policy, estimated=10_000, output=0, failures=0) == 5000


@pytest.mark.parametrize(
    ("switches", "default", "on"),
    [
        ((None, None), True, True),
        ((None, None), False, False),
        ((True, None), False, True),
        ((True, False), True, False),
        ((False, True), True, False),
    ],
)
def test_whoever_says_no_is_obeyed(switches: tuple[bool | None, ...], default: bool, on: bool) -> None:
    assert switched_on(*switches, default=default) is on


def test_the_receipt_adds_up_what_several_rounds_did() -> None:
    steps = merge_steps(("remembered", "drop_turns:2"), ("drop_turns:1", "trim_tools:4"))
    assert steps == ("remembered", "drop_turns:3", "trim_tools:4")
    receipt = Receipt(before=900, after=400, steps=steps)
    assert receipt.header == b"before=900;after=400;steps=remembered,drop_turns:3,trim_tools:4"


# ----------------------------------------------------------------------------------------------------- detection


@pytest.mark.parametrize(
    "error",
    [
        ClientFault("Sorry: TOO MANY WORDS for this box", status=422),
        ServerFailed("internal: too many words", upstream_status=500),
        ClientFault("nope", code="too many words"),
    ],
)
def test_the_operators_words_mean_overflow_in_any_case(error: UpstreamError) -> None:
    assert isinstance(overflow_by_keyword(error, (" ", "Too many words")), ContextOverflow)
    assert overflow_by_keyword(error, ("something else", " ")) is error
    assert overflow_by_keyword(error, ()) is error


@pytest.mark.parametrize("error", [RateLimited("too many words per minute"), CredentialRejected("too many words")])
def test_the_operators_words_never_hide_a_rate_limit_or_a_bad_key(error: UpstreamError) -> None:
    assert overflow_by_keyword(error, (" ", "Too many words")) is error


def test_the_window_is_the_one_the_upstream_names_or_else_the_configured_one() -> None:
    named = ContextOverflow("x", limit_tokens=4000, requested_tokens=5000)
    assert too_long([named], [8000], []) == TooLong(window=4000, requested_tokens=5000)
    assert too_long([ServerFailed("a"), ContextOverflow("b")], [1, 8000], []) == TooLong(window=8000)
    assert too_long([ServerFailed("a")], [8000], []) is None


def test_a_request_that_no_window_holds_is_too_long_for_the_widest() -> None:
    query = RouteQuery(model="m", input_tokens=9000)
    pool = [candidate(1, spec={"context_window": 4000}), candidate(2, spec={"context_window": 8000})]
    plan = make_plan(query, pool, STRATEGIES["priority"], Draws())
    assert too_long([], [], [plan]) == TooLong(window=8000)
    roomy = make_plan(RouteQuery(model="m", input_tokens=10), pool, STRATEGIES["priority"], Draws())
    assert too_long([], [], [roomy]) is None


@pytest.mark.parametrize("bar", [None, "credential_cooling", "saturated"])
def test_where_it_fits_somebody_who_failed_or_rests_nothing_is_too_long(bar: str | None) -> None:
    small, large = candidate(1, spec={"context_window": 600}), candidate(2, spec={"context_window": 50_000}, bar=bar)
    plan = make_plan(RouteQuery(model="m", input_tokens=2000), [small, large], STRATEGIES["priority"], Draws())
    errors = [ServerFailed("broken")] if bar is None else []
    assert too_long(errors, [50_000] * len(errors), [plan]) is None
