// A question to one or two models at once over one WebSocket; what comes back is shown as it comes.
import { count, duration, fill, missing, money, rate, read, setText } from "./format.js";
import { codeFor } from "./playground-code.js";

const form = document.getElementById("form");
if (form) start();

function start() {
  const words = read("words");
  const find = (id) => document.getElementById(id);
  const panes = [1, 2].map((number) => {
    const node = find(`pane${number}`);
    const part = (name) => node.querySelector(`[data-part="${name}"]`);
    const names = ["state", "times", "thinking", "thoughts", "answer", "facts", "provider", "tokens", "cost", "why"];
    return { node, model: find(`model${number}`), id: null, ...Object.fromEntries(names.map((name) => [name, part(name)])) };
  });
  if (panes[1].model.options.length > 1) panes[1].model.selectedIndex = 1;
  const compared = () => find("compare").checked;
  const active = () => (compared() ? panes : panes.slice(0, 1));

  // --------------------------------------------------------------------------------------------------------- request
  function body(pane) {
    const messages = [];
    if (find("system").value.trim()) messages.push({ role: "system", content: find("system").value });
    messages.push({ role: "user", content: find("user").value });
    const request = { model: pane.model.value, messages };
    for (const name of ["temperature", "top_p", "max_tokens", "seed"]) {
      if (find(name).value !== "") request[name] = Number(find(name).value);
    }
    return { ...request, stream: true };
  }

  // -------------------------------------------------------------------------------------------------------- connection
  let socket = null;
  let number = 0;
  const running = new Map();

  function connected() {
    if (socket && socket.readyState < 2) return socket;
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/v1/chat/completions`);
    socket.addEventListener("message", (event) => hear(JSON.parse(event.data)));
    socket.addEventListener("close", async () => {
      const cut = [...running.values()];
      if (!cut.length) return;
      const text = (await signedOut()) ? words.signed_out : words.lost;
      for (const run of cut) if (running.has(run.id)) end(run, "bad", text);
    });
    return socket;
  }

  // A refused handshake tells a page nothing but that there is no connection; the page itself would lead to the login.
  async function signedOut() {
    const answer = await fetch(location.href, { redirect: "manual", cache: "no-store" }).catch(() => null);
    return answer?.type === "opaqueredirect";
  }

  const say = (message) => {
    const line = connected();
    const text = JSON.stringify(message);
    if (line.readyState === 1) line.send(text);
    else line.addEventListener("open", () => line.send(text), { once: true });
  };

  function hear(message) {
    const run = running.get(message.id);
    if (!run) return;
    if (message.type === "chunk") take(run, message.chunk);
    else if (message.type === "done") finish(run, message);
    else if (message.type === "error") {
      show(run, message.request_id);
      // It was opened with the session that ended: who has logged in again needs another one.
      const ended = message.error.code === "invalid_api_key";
      if (ended) socket.close();
      end(run, "bad", ended ? words.signed_out : `${words.failed}: ${message.error.message}`);
    }
  }

  // -------------------------------------------------------------------------------------------------------------- runs
  function begin(pane) {
    const run = { id: `run-${++number}`, pane, began: performance.now(), first: null, text: "", thoughts: "", due: false };
    running.set(run.id, run);
    pane.answer.textContent = pane.thoughts.textContent = pane.times.textContent = "";
    // An error may show the facts for the sake of their link: what the run before this one came to is not this one's.
    for (const fact of [pane.provider, pane.tokens, pane.cost]) setText(fact, missing);
    pane.thinking.hidden = pane.facts.hidden = true;
    mark(pane, "idle", words.waiting);
    say({ type: "create", id: run.id, request: body(pane) });
  }

  function take(run, chunk) {
    const delta = chunk.choices?.[0]?.delta ?? chunk.choices?.[0]?.message;
    if (!delta) return;
    const thoughts = delta.reasoning_content ?? delta.reasoning ?? "";
    const text = (delta.content ?? "") + (delta.tool_calls ?? []).map((call) => (call.function?.name ? `\n${call.function.name} ` : "") + (call.function?.arguments ?? "")).join("");
    if ((text || thoughts) && run.first === null) {
      run.first = performance.now() - run.began;
      mark(run.pane, "ok", words.streaming);
      setText(run.pane.times, fill(words.first, { ms: Math.round(run.first) }));
    }
    run.text += text;
    if (typeof thoughts === "string") run.thoughts += thoughts;
    // Many chunks, one drawing per frame.
    if (!run.due) {
      run.due = true;
      requestAnimationFrame(() => paint(run));
    }
  }

  function paint(run) {
    run.due = false;
    const { answer, thoughts, thinking } = run.pane;
    const atEnd = answer.scrollHeight - answer.scrollTop - answer.clientHeight < 40;
    setText(answer, run.text);
    if (run.thoughts) {
      thinking.hidden = false;
      setText(thoughts, run.thoughts);
    }
    if (atEnd) answer.scrollTop = answer.scrollHeight;
  }

  function finish(run, message) {
    paint(run);
    const { pane } = run;
    const usage = message.usage;
    setText(pane.provider, (message.deployment || message.provider || "–") + (message.attempts > 1 ? ` ${fill(words.attempts, { n: message.attempts })}` : ""));
    setText(pane.tokens, usage ? fill(words.tokens, { input: count(usage.prompt_tokens), output: count(usage.completion_tokens) }) : "–");
    setText(pane.cost, message.cost_usd == null ? words.free : money(message.cost_usd * 1e9));
    show(run, message.request_id);
    const parts = [];
    if (message.time_to_first_token != null) parts.push(fill(words.first, { ms: Math.round(message.time_to_first_token * 1000) }));
    if (message.duration != null) parts.push(fill(words.total, { time: duration(message.duration * 1000) }));
    const writing = (message.duration ?? 0) - (message.time_to_first_token ?? 0);
    if (usage?.completion_tokens > 1 && writing > 0.02) parts.push(fill(words.speed, { n: rate(usage.completion_tokens / writing) }));
    setText(pane.times, parts.join(" · "));
    end(run, message.cancelled ? "idle" : "ok", message.cancelled ? words.stopped : words.done);
  }

  function show(run, requestId) {
    if (!requestId) return;
    run.pane.facts.hidden = false;
    run.pane.why.href = `/dashboard/requests/${encodeURIComponent(requestId)}/`;
  }

  function end(run, state, text) {
    paint(run);
    running.delete(run.id);
    mark(run.pane, state, text);
    buttons();
  }

  function mark(pane, state, text) {
    pane.state.className = `state ${state}`;
    setText(pane.state, text);
  }

  function buttons() {
    find("stop").disabled = running.size === 0;
    find("run").disabled = running.size > 0;
  }

  // ------------------------------------------------------------------------------------------------------------ the page
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (running.size) return;
    for (const pane of active()) begin(pane);
    buttons();
  });
  find("stop").addEventListener("click", () => {
    for (const run of running.values()) say({ type: "cancel", id: run.id });
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  find("compare").addEventListener("change", () => {
    panes[1].node.hidden = !compared();
    find("panes").classList.toggle("two", compared());
  });

  let language = "curl";
  const code = () => setText(find("code"), codeFor(language, location.origin, body(panes[0])));
  form.addEventListener("input", code);
  find("languages").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    language = button.dataset.language;
    for (const each of find("languages").children) each.setAttribute("aria-pressed", String(each === button));
    code();
  });
  code();
}
