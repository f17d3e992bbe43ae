"""What one Claude model accepts. The adapter chooses the values by model name; the dialect only obeys them. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTraits:
    """The defaults describe an unknown model behind an Anthropic-compatible address: the oldest, widest behaviour.

    sampling           temperature, top_p and top_k are accepted at all
    sampling_pair      temperature and top_p may be sent together
    prefill            the last message may be the assistant's
    forced_tools       tool_choice `any` and `tool` are accepted
    structured_output  `output_config.format` and strict tools are accepted
    late_system        role `system` is accepted inside `messages`
    budgets            thinking may be given `budget_tokens`
    adaptive_thinking  thinking is `adaptive` and steered by `output_config.effort`; otherwise by `budget_tokens`
    always_thinking    thinking cannot be switched off
    xhigh_effort       effort `xhigh` is accepted; `high` is sent where it is not
    """

    sampling: bool = True
    sampling_pair: bool = True
    prefill: bool = True
    forced_tools: bool = True
    structured_output: bool = False
    late_system: bool = False
    budgets: bool = True
    adaptive_thinking: bool = False
    always_thinking: bool = False
    xhigh_effort: bool = False
