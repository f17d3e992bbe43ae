"""Usage wherever a server puts it in a stream: with every chunk, with the last but one, as null, as nothing, or never."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.adapters import adapter_for
from providers.types import ClientRequest, Operation, Usage
from tests.contract.asking import deployed
from tests.unit.providers.relay_events import NAMES, ROLE, chunk, frame, values

NOTHING: list[Any] = [None, {}, "None", [], {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}]
told = st.builds(
    lambda prompt, output: {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output},
    st.integers(1, 99),
    st.integers(0, 99),
)
told_or_not = st.one_of(st.just("absent"), st.sampled_from(NOTHING), told)
events = st.lists(st.tuples(st.sampled_from(["text", "empty", "bare"]), told_or_not), max_size=6)


def event(kind: str, usage: Any) -> bytes:
    more = {} if usage == "absent" else {"usage": usage}
    if kind == "bare":
        return frame({**NAMES, "choices": [], **more})
    return chunk({"content": "x"} if kind == "text" else {}, **more)


@settings(max_examples=200, deadline=None)
@given(
    before=events,
    at_finish=told_or_not,
    after=events,
    kind=st.sampled_from(["openai", "azure", "openrouter", "grok", "blackbox"]),
    include_usage=st.booleans(),
    step=st.integers(1, 300),
)
def test_the_last_that_tells_something_holds_and_comes_once_at_the_end(
    before: list[Any], at_finish: Any, after: list[Any], kind: str, include_usage: bool, step: int
) -> None:
    after = [each for each in after if each[0] != "text"]
    finish = chunk({}, "stop", **({} if at_finish == "absent" else {"usage": at_finish}))
    body = ROLE + b"".join([event(*each) for each in before]) + finish
    body += b"".join([event(*each) for each in after]) + b"data: [DONE]\n\n"
    adapter = adapter_for(kind)
    asked = ClientRequest(
        operation=Operation.CHAT, model="m", body={"model": "m"}, stream=True, include_usage=include_usage
    )
    stream = adapter.open_stream(asked, deployed(adapter))
    sent = values(b"".join(stream.feed(body[at : at + step]) for at in range(0, len(body), step)) + stream.close())
    assert sent.pop() == "[DONE]"
    said = [*(each[1] for each in before), at_finish, *(each[1] for each in after)]
    counted = [usage for usage in said if usage not in NOTHING and usage != "absent"]
    if counted:
        last = counted[-1]
        assert stream.usage == Usage(last["prompt_tokens"], last["completion_tokens"])
        if include_usage:
            ended = sent.pop()
            assert (ended["choices"], ended["usage"]) == ([], last)
    else:
        assert stream.usage is None
    assert all(each["choices"] for each in sent)
    assert not any(each.get("usage") for each in sent)
    assert "".join(each["choices"][0]["delta"].get("content") or "" for each in sent) == "x" * sum(
        kind == "text" for kind, _ in before
    )
