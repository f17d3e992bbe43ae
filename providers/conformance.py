"""The onboarding test: does this provider do what the gateway will ask of it? Talks through the adapters and through a
transport of the data plane, so that names, addresses, TLS and dialect are those of real calls.

    report = asyncio.run(Conformance(transport, provider, model="").run())

A cap bounds what it may spend: a probe whose worst case does not fit is skipped and says so.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from providers import conformance_probes as probes
from providers.adapters import adapter_for
from providers.adapters.base import ClientStream, Delivered
from providers.adapters.model_list import ModelInfo
from providers.conformance_probes import ProbeResult
from providers.dialects.redaction import conceal
from providers.errors import BadAnswer, CredentialRejected, StreamTruncated, UpstreamError
from providers.own_models import ask_for_models
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import Transport, UpstreamRequest, UpstreamResponse
from providers.types import ClientRequest, JsonObject, Usage

REQUEST_TIMEOUT_S = 30.0
ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
DEFAULT_CAP_NANO_USD = 20_000_000
TOKEN_CAP = 20_000
PROMPT_CANCEL_S = 0.1
NOT_CHAT = ("embed", "whisper", "tts", "dall-e", "image", "moderation", "audio", "rerank", "transcribe", "realtime")


class CapReached(Exception):
    """The probe could cost more than what is left."""


@dataclass(slots=True)
class Spending:
    """Money in nano-USD; `known` turns false with the first call of unknown price, and then only tokens are capped."""

    cap_nano_usd: int
    token_cap: int = TOKEN_CAP
    nano_usd: int = 0
    tokens: int = 0
    known: bool = True

    def admit(self, deployment: DeploymentSpec, output_tokens: int) -> None:
        worst = deployment.prices.of_tokens(probes.INPUT_TOKENS, output_tokens)
        if self.tokens + probes.INPUT_TOKENS + output_tokens > self.token_cap:
            raise CapReached(f"it could use more than the {self.token_cap - self.tokens} tokens left")
        if worst is not None and self.nano_usd + worst > self.cap_nano_usd:
            left = (self.cap_nano_usd - self.nano_usd) / 1e9
            raise CapReached(f"it could cost {worst / 1e9:.6f} USD, of the cap {left:.6f} USD are left")

    def book(self, deployment: DeploymentSpec, usage: Usage | None, output_tokens: int) -> None:
        """Without reported usage the worst case counts."""
        used = usage or Usage(input_tokens=probes.INPUT_TOKENS, output_tokens=output_tokens)
        self.tokens += used.total_tokens
        cost = used.cost_nano_usd
        if cost is None:
            cost = deployment.prices.of_tokens(*(used.billed or (used.input_tokens, used.output_tokens)))
        self.known = self.known and cost is not None
        self.nano_usd += cost or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`results` in the order of `conformance_probes.NAMES`; `models` is the provider's own list, where it has one."""

    model: str
    results: tuple[ProbeResult, ...]
    duration_s: float
    tokens: int
    cost_nano_usd: int | None
    models: tuple[ModelInfo, ...] = ()

    @property
    def passed(self) -> bool:
        return not any(result.outcome == "failed" for result in self.results)


@dataclass(slots=True)
class _Streamed:
    stream: ClientStream
    response: UpstreamResponse


class Conformance:
    """One run. `deployments` are those configured; `model` chooses among them, or names one that is not yet there."""

    def __init__(
        self,
        transport: Transport,
        provider: ProviderSpec,
        deployments: tuple[DeploymentSpec, ...] = (),
        *,
        model: str = "",
        cap_nano_usd: int = DEFAULT_CAP_NANO_USD,
    ) -> None:
        self._transport = transport
        self._provider = provider
        self._deployments = deployments
        self._model = model
        self._adapter = adapter_for(provider.kind)
        self._spending = Spending(cap_nano_usd)
        self._results: dict[str, ProbeResult] = {}
        self._models: tuple[ModelInfo, ...] = ()

    async def run(self) -> Report:
        started = time.monotonic()
        if await self._reaches():
            await self._list_models()
            deployment = self._choose()
            if deployment is not None:
                await self._use(deployment)
            self._judge_credential()
        reason = self._why_skipped()
        results = [
            self._results.get(name) or ProbeResult(name=name, outcome="skipped", detail=reason) for name in probes.NAMES
        ]
        return Report(
            model=self._model,
            results=tuple(results),
            duration_s=time.monotonic() - started,
            tokens=self._spending.tokens,
            cost_nano_usd=self._spending.nano_usd if self._spending.known else None,
            models=self._models,
        )

    # ---------------------------------------------------------------------------------------------- free of charge

    async def _reaches(self) -> bool:
        async def look() -> str:
            # Without the credential: an address is tried before anything secret is sent to it.
            request = UpstreamRequest(method="GET", path=self._provider.base_path or "/")
            response = await self._send(request)
            response.close()
            return f"answered with status {response.status}"

        return await self._probe("reachability", look)

    async def _list_models(self) -> None:
        async def look() -> str:
            self._models = await ask_for_models(self._transport, self._provider, timeout_s=REQUEST_TIMEOUT_S)
            return f"{len(self._models)} models"

        await self._probe("model_list", look)

    def _choose(self) -> DeploymentSpec | None:
        """The deployment to test with: the one asked for, or the first that chats; made up when none is configured."""
        for deployment in self._deployments:
            if self._model in ("", deployment.model, deployment.upstream_model) and chats(deployment):
                self._model = deployment.model
                return deployment
        listed = next((info.id for info in self._models if not is_special(info.id)), "")
        self._model = self._model or listed
        if not self._model:
            return None
        return DeploymentSpec(id=0, provider=self._provider, model=self._model, upstream_model=self._model)

    # ------------------------------------------------------------------------------------------------- paid probes

    async def _use(self, deployment: DeploymentSpec) -> None:
        if not await self._complete("chat", deployment, "Reply with the single word: ok", probes.read_chat):
            return
        await self._stream(deployment)
        await self._call_tool(deployment)
        await self._complete(
            "structured_output",
            deployment,
            "Name one color.",
            probes.read_structured,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "color", "schema": probes.SCHEMA, "strict": True},
            },
        )
        await self._exceed_limit(deployment)
        await self._cancel(deployment)

    async def _complete(
        self,
        name: str,
        deployment: DeploymentSpec,
        text: str,
        read: Callable[[Delivered], str],
        **fields: object,
    ) -> bool:
        async def ask() -> str:
            tokens = probes.answer_tokens(deployment, probes.ANSWER_TOKENS)
            self._spending.admit(deployment, tokens)
            request = probes.chat_request(deployment, text, tokens=tokens, **fields)
            adapter = self._adapter.serving(request, deployment)
            response = await self._send(adapter.prepare(request, deployment, self._provider.first_secret))
            body = await self._body(response)
            delivered = adapter.read_answer(request, deployment, response.headers, body)
            self._spending.book(deployment, delivered.usage, tokens)
            return read(delivered)

        return await self._probe(name, ask)

    async def _call_tool(self, deployment: DeploymentSpec) -> None:
        """Forced where that is possible; some providers can only be asked."""
        text, tools = "What is the weather in Paris? Use the tool.", [probes.TOOL]
        forced: JsonObject = {"tools": tools, "tool_choice": "required"}
        await self._complete("tools", deployment, text, probes.read_tools, **forced)
        if self._results["tools"].outcome == "unsupported":
            await self._complete("tools", deployment, text, probes.read_tools, tools=tools)

    async def _stream(self, deployment: DeploymentSpec) -> None:
        usage: list[Usage | None] = []

        async def ask() -> str:
            tokens = probes.answer_tokens(deployment, probes.ANSWER_TOKENS)
            self._spending.admit(deployment, tokens)
            opened = await self._open(
                deployment, probes.chat_request(deployment, "Count from 1 to 5.", tokens=tokens, stream=True)
            )
            try:
                pieces = await self._to_end(opened)
            finally:
                opened.response.close()
                self._spending.book(deployment, opened.stream.usage, tokens)
            usage.append(opened.stream.usage)
            return f"{pieces} pieces, finish_reason {opened.stream.finish_reason}"

        if await self._probe("stream", ask):
            found = usage[0]
            if found is None:
                self._keep("usage_in_stream", "failed", "The stream reported no usage; tokens will be counted instead.")
            else:
                text = f"{found.input_tokens} input and {found.output_tokens} output tokens"
                self._keep("usage_in_stream", "passed", text)

    async def _exceed_limit(self, deployment: DeploymentSpec) -> None:
        """Asks for more output than any model has. Should that be accepted, the stream is ended at its first word."""

        async def ask() -> str:
            tokens = probes.answer_tokens(deployment, probes.ANSWER_TOKENS)
            self._spending.admit(deployment, tokens)
            request = probes.chat_request(deployment, "Reply: ok", tokens=probes.ABSURD_LIMIT, stream=True)
            opened = await self._open(deployment, request)
            try:
                await self._to_first_word(opened)
            finally:
                opened.response.close()
                self._spending.book(deployment, opened.stream.usage, tokens)
            return "a limit beyond the model's own is accepted"

        await self._probe("limit_error_shape", ask, judge=probes.error_shape)

    async def _cancel(self, deployment: DeploymentSpec) -> None:
        async def ask() -> str:
            tokens = probes.answer_tokens(deployment, probes.LONG_ANSWER_TOKENS)
            self._spending.admit(deployment, tokens)
            request = probes.chat_request(deployment, "Count from 1 to 100 in words.", tokens=tokens, stream=True)
            opened = await self._open(deployment, request)
            try:
                await self._to_first_word(opened)
            finally:
                started = time.monotonic()
                opened.response.close()
                took = time.monotonic() - started
                # What the provider charges for a stream that was cut is not told: the worst case counts.
                self._spending.book(deployment, opened.stream.usage, tokens)
            if took > PROMPT_CANCEL_S:
                raise BadAnswer(f"Closing a running stream took {took:.2f} s.")
            again = await self._send(UpstreamRequest(method="GET", path=self._provider.base_path or "/"))
            again.close()
            return "a running stream was closed at its first word, and the provider answers on"

        await self._probe("cancel", ask)

    # ------------------------------------------------------------------------------------------------- exchanges

    async def _send(self, request: UpstreamRequest) -> UpstreamResponse:
        return await self._transport.send(self._provider.endpoint, request, timeout_s=REQUEST_TIMEOUT_S)

    async def _body(self, response: UpstreamResponse) -> bytes:
        """Of a good answer; raises what a bad one means."""
        try:
            body = await response.read(limit=ANSWER_LIMIT_BYTES, timeout_s=REQUEST_TIMEOUT_S)
        finally:
            response.close()
        if not 200 <= response.status < 300:
            raise self._adapter.read_error(response.status, response.headers, body, provider=self._provider.name)
        return body

    async def _open(self, deployment: DeploymentSpec, request: ClientRequest) -> _Streamed:
        adapter = self._adapter.serving(request, deployment)
        response = await self._send(adapter.prepare(request, deployment, self._provider.first_secret))
        if not 200 <= response.status < 300:
            await self._body(response)
        return _Streamed(adapter.open_stream(request, deployment), response)

    async def _to_first_word(self, opened: _Streamed) -> None:
        while not opened.stream.started and await self._more(opened):
            pass

    async def _to_end(self, opened: _Streamed) -> int:
        pieces = 0
        while not opened.stream.ended and await self._more(opened):
            pieces += 1
        if not opened.stream.started:
            raise BadAnswer("The stream ended before it said anything.")
        return pieces

    async def _more(self, opened: _Streamed) -> bool:
        data = await opened.response.chunk(REQUEST_TIMEOUT_S)
        if data:
            opened.stream.feed(data)
        else:
            opened.stream.close()
        if opened.stream.failure is not None:
            raise opened.stream.failure
        if not data and not opened.stream.ended:
            raise StreamTruncated("The stream ended without its end.")
        return bool(data)

    # --------------------------------------------------------------------------------------------------- results

    async def _probe(
        self,
        name: str,
        ask: Callable[[], Awaitable[str]],
        *,
        judge: Callable[[UpstreamError], ProbeResult] | None = None,
    ) -> bool:
        started = time.monotonic()
        try:
            detail = await ask()
        except CapReached as reason:
            self._keep(name, "skipped", f"Spend cap: {reason}.")
            return False
        except UpstreamError as error:
            conceal(error, self._provider.secrets)
            self._results[name] = result = judge(error) if judge is not None else probes.failed(name, error)
            if isinstance(error, CredentialRejected):
                self._results["authentication"] = probes.failed("authentication", error)
            return result.outcome == "passed"
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            # An answer that nobody foresaw is a finding about the provider, not an end of the test.
            self._keep(name, "failed", f"The answer cannot be read: {type(error).__name__}.")
            return False
        self._results[name] = ProbeResult(
            name=name, outcome="passed", detail=detail, duration_s=round(time.monotonic() - started, 4)
        )
        return True

    def _keep(self, name: str, outcome: probes.Outcome, detail: str) -> None:
        self._results[name] = ProbeResult(name=name, outcome=outcome, detail=detail)

    def _judge_credential(self) -> None:
        """A chat that was answered proves a credential; a list is public at some providers and proves it only where
        nothing better was tried."""
        if "authentication" in self._results:
            return
        if self._passed("chat"):
            self._keep("authentication", "passed", "a chat was answered")
        elif self._passed("model_list") and "chat" not in self._results:
            self._keep("authentication", "passed", "the model list was answered; no model was there to prove more")

    def _passed(self, name: str) -> bool:
        found = self._results.get(name)
        return found is not None and found.outcome == "passed"

    def _why_skipped(self) -> str:
        if not self._passed("reachability"):
            return "The provider was not reached."
        if not self._model:
            return "No model to test with: add a deployment, or name a model."
        chat = self._results.get("chat")
        return "The chat before it did not pass." if chat is not None and chat.outcome != "passed" else "Not tried."


def chats(deployment: DeploymentSpec) -> bool:
    """As far as is known."""
    only_embeds = deployment.capabilities == frozenset({"embeddings"})
    return not only_embeds and not is_special(deployment.upstream_model)


def is_special(model: str) -> bool:
    """Judged by its name: nothing else is known of a model in a list."""
    return any(word in model.lower() for word in NOT_CHAT)
