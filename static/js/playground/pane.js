// One model's side of the page: its conversation, the answer that is coming in, and the tools it waits for.
import { count, duration, element, fill, missing, money, rate, setText } from "../format.js";
import { callArguments, callName, imagesOf, openCalls, textOf, toolMessage } from "./conversation.js";
import { picture } from "./images.js";

const PARTS = ["state", "times", "talk", "turns", "thinking", "thoughts", "answer", "calls", "facts", "provider", "tokens", "cost", "why", "said"];

function readable(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const described = (call) => element("pre", { class: "code call-arguments" }, `${callName(call)} ${readable(callArguments(call))}`);

// `answered()` is called when the results of all tools were given.
export function makePane(node, model, words, answered) {
  const part = Object.fromEntries(PARTS.map((name) => [name, node.querySelector(`[data-part="${name}"]`)]));
  const pane = { node, model, messages: [], open, begin, first, paint, finish, refuse, results, missingResult, takeBack, reset };
  // How much of the conversation stands above the answer, and how much of it there was before the last question.
  let above = 0;
  let before = 0;

  // ----------------------------------------------------------------------------------------------------- conversation
  function turn(message) {
    const call = message.role === "tool" && pane.messages.flatMap((each) => each.tool_calls ?? []).find((each) => each.id === message.tool_call_id);
    const who = call ? fill(words.result_of, { name: callName(call) }) : message.role === "user" ? words.you : words.answer;
    const images = imagesOf(message).map((image) => picture(image, words));
    return element(
      "li", { class: `turn ${message.role}` },
      element("p", { class: "turn-who" }, who),
      textOf(message) ? element("div", { class: "turn-text" }, textOf(message)) : null,
      images.length ? element("div", { class: "thumbs" }, ...images) : null,
      ...(message.tool_calls ?? []).map(described),
    );
  }

  function draw() {
    part.turns.replaceChildren(...pane.messages.slice(0, above).map(turn));
    part.talk.scrollTop = part.talk.scrollHeight;
  }

  function clearAnswer() {
    part.answer.textContent = part.thoughts.textContent = part.times.textContent = part.said.textContent = "";
    // An error may show the facts for the sake of their link: what the run before this one came to is not this one's.
    for (const fact of [part.provider, part.tokens, part.cost]) setText(fact, missing);
    part.thinking.hidden = part.facts.hidden = true;
    part.calls.replaceChildren();
  }

  function open() {
    return openCalls(pane.messages);
  }

  // Asks for the results of the tools that were called.
  function drawCalls() {
    const calls = open();
    if (!calls.length) return part.calls.replaceChildren();
    const fields = calls.map((call, position) => {
      const id = `${node.id}-result-${position}`;
      const of = calls.length > 1 ? ` (${position + 1}/${calls.length})` : "";
      return element(
        "div", { class: "field" }, described(call),
        element("label", { for: id }, fill(words.result_of, { name: callName(call) }) + of),
        element("textarea", { id, class: "mono", rows: 2, placeholder: words.result_example }),
      );
    });
    const send = element("button", { type: "button", class: "button primary" }, words.send_results);
    send.addEventListener("click", answered);
    part.calls.replaceChildren(element("p", { class: "muted small" }, words.tools_called), ...fields, send);
  }

  const fields = () => [...part.calls.querySelectorAll("textarea")];

  function missingResult() {
    return fields().find((field) => !field.value.trim()) ?? null;
  }

  function results() {
    const given = fields();
    return open().map((call, position) => toolMessage(call, given[position]?.value ?? ""));
  }

  // -------------------------------------------------------------------------------------------------------------- runs
  function begin(additions) {
    before = pane.messages.length;
    pane.messages = [...pane.messages, ...additions];
    above = pane.messages.length;
    clearAnswer();
    draw();
    mark("idle", words.waiting);
  }

  function first(ms) {
    mark("ok", words.streaming);
    setText(part.times, fill(words.first, { ms: Math.round(ms) }));
  }

  function paint({ text, thoughts, calls }) {
    const atEnd = part.talk.scrollHeight - part.talk.scrollTop - part.talk.clientHeight < 40;
    setText(part.answer, text);
    if (calls.length) part.calls.replaceChildren(...calls.filter(Boolean).map(described));
    if (thoughts) {
      part.thinking.hidden = false;
      setText(part.thoughts, thoughts);
    }
    if (atEnd) part.talk.scrollTop = part.talk.scrollHeight;
  }

  function finish(answer, message) {
    const usage = message.usage;
    setText(part.provider, (message.deployment || message.provider || missing) + (message.attempts > 1 ? ` ${fill(words.attempts, { n: message.attempts })}` : ""));
    setText(part.tokens, usage ? fill(words.tokens, { input: count(usage.prompt_tokens), output: count(usage.completion_tokens) }) : missing);
    setText(part.cost, message.cost_usd == null ? words.free : money(message.cost_usd * 1e9));
    show(message.request_id);
    const times = [];
    if (message.time_to_first_token != null) times.push(fill(words.first, { ms: Math.round(message.time_to_first_token * 1000) }));
    if (message.duration != null) times.push(fill(words.total, { time: duration(message.duration * 1000) }));
    const writing = (message.duration ?? 0) - (message.time_to_first_token ?? 0);
    if (usage?.completion_tokens > 1 && writing > 0.02) times.push(fill(words.speed, { n: rate(usage.completion_tokens / writing) }));
    setText(part.times, times.join(" · "));
    mark(message.cancelled ? "idle" : "ok", message.cancelled ? words.stopped : message.finish_reason === "length" ? words.cut : words.done);
    const said = answer.message({ cut: message.cancelled });
    if (said) pane.messages = [...pane.messages, said];
    else undo();
    drawCalls();
    announce(answer.text || open().map(callName).join(", "));
  }

  // Said once, when it is whole; who reads on shall not find it a second time.
  function announce(text) {
    setText(part.said, text);
    setTimeout(() => part.said.textContent === text && setText(part.said, ""), 5000);
  }

  function refuse(text, requestId) {
    show(requestId);
    undo();
    mark("bad", text);
  }

  // What was asked last is as if it had not been; tools that wait for their results wait again, with what was typed.
  function undo() {
    const typed = new Map(pane.messages.slice(before).map((message) => [message.tool_call_id, message.content]));
    pane.messages = pane.messages.slice(0, before);
    above = before;
    draw();
    drawCalls();
    fields().forEach((field, position) => (field.value = typed.get(open()[position].id) ?? ""));
  }

  // Forgets the last question and all after it; returns it.
  function takeBack() {
    const last = pane.messages.findLastIndex((message) => message.role === "user");
    const question = pane.messages[last];
    reset(pane.messages.slice(0, Math.max(last, 0)));
    return question;
  }

  function reset(messages) {
    pane.messages = messages;
    above = before = messages.length;
    clearAnswer();
    draw();
    drawCalls();
    mark("idle", words.ready);
  }

  function show(requestId) {
    if (!requestId) return;
    part.facts.hidden = false;
    part.why.href = `/dashboard/requests/${encodeURIComponent(requestId)}/`;
  }

  function mark(state, text) {
    part.state.className = `state ${state}`;
    setText(part.state, text);
  }

  return pane;
}
