// A conversation with one or two models at once over one WebSocket; what comes back is shown as it comes.
import { read, setText } from "./format.js";
import { codeFor } from "./playground/code.js";
import { Answer, imagesOf, lastRequest, textOf, userMessage, withoutImages } from "./playground/conversation.js";
import { attachments } from "./playground/images.js";
import { makePane } from "./playground/pane.js";
import { gatewaySocket } from "./playground/socket.js";
import { toolBox } from "./playground/tools.js";

const form = document.getElementById("form");
if (form) start();

function start() {
  const words = read("words");
  const find = (id) => document.getElementById(id);
  const tell = (text) => setText(find("note"), text);
  const running = new Map();
  let number = 0;

  const panes = [1, 2].map((each) => makePane(find(`pane${each}`), find(`model${each}`), words, () => answerTools(panes[each - 1])));
  if (panes[1].model.options.length > 1) panes[1].model.selectedIndex = 1;
  const compared = () => find("compare").checked;
  const active = () => (compared() ? panes : panes.slice(0, 1));
  const images = attachments(
    { list: find("images"), file: find("image-file"), address: find("image-address"), add: find("image-add"), message: find("user") },
    words, (text) => setText(find("image-problem"), text), () => code(),
  );
  const tools = toolBox(
    { box: find("tools"), choice: find("tool_choice"), example: find("tools-example"), problem: find("tools-problem") },
    words, () => code(),
  );
  const socket = gatewaySocket(hear, (signedOut) => {
    for (const run of [...running.values()]) end(run, () => run.pane.refuse(signedOut ? words.signed_out : words.lost));
  });

  // --------------------------------------------------------------------------------------------------------- request
  function body(pane, messages) {
    const system = find("system").value;
    const request = { model: pane.model.value, messages: system.trim() ? [{ role: "system", content: system }, ...messages] : messages };
    for (const name of ["temperature", "top_p", "max_tokens", "seed"]) {
      if (find(name).value !== "") request[name] = Number(find(name).value);
    }
    return { ...request, ...tools.settings(), stream: true };
  }

  const draft = () => (find("user").value.trim() || images.get().length ? [userMessage(find("user").value, images.get())] : []);

  // -------------------------------------------------------------------------------------------------------------- runs
  // False when nothing was sent, and then the page says why.
  function send(asked, additions) {
    if (!tools.check()) {
      find("tools").closest("details").open = true;
      find("tools").focus();
      return false;
    }
    const requests = asked.map((pane) => body(pane, [...pane.messages, ...additions(pane)]));
    if (requests.some((request) => new Blob([JSON.stringify(request)]).size > form.dataset.largest - 1024)) {
      tell(words.too_large);
      return false;
    }
    tell("");
    asked.forEach((pane, position) => {
      pane.begin(additions(pane));
      const question = pane.messages.at(-1);
      const run = { id: `run-${++number}`, pane, question, began: performance.now(), answer: new Answer(), first: true, due: false };
      running.set(run.id, run);
      socket.say({ type: "create", id: run.id, request: requests[position] });
    });
    buttons();
    return true;
  }

  function ask() {
    const waiting = active().find((pane) => pane.open().length);
    if (waiting) {
      tell(words.results_first);
      return (waiting.missingResult() ?? waiting.node.querySelector("textarea")).focus();
    }
    const message = draft();
    if (!message.length) {
      tell(words.empty);
      return find("user").focus();
    }
    if (!send(active(), () => message)) return;
    find("user").value = "";
    images.set([]);
  }

  function answerTools(pane) {
    if (running.size) return;
    const empty = pane.missingResult();
    if (empty) {
      tell(words.results_first);
      return empty.focus();
    }
    if (send([pane], () => pane.results())) find("stop").focus();
  }

  function hear(message) {
    const run = running.get(message.id);
    if (!run) return;
    if (message.type === "chunk") take(run, message.chunk);
    else if (message.type === "done") end(run, () => run.pane.finish(run.answer, message));
    else if (message.type === "error") {
      const ended = message.error.code === "invalid_api_key";
      if (ended) socket.forget();
      end(run, () => run.pane.refuse(ended ? words.signed_out : `${words.failed}: ${message.error.message}`, message.request_id));
    }
  }

  function take(run, chunk) {
    if (run.answer.take(chunk) && run.first) {
      run.first = false;
      run.pane.first(performance.now() - run.began);
    }
    if (run.due) return;
    // Many chunks, one drawing per frame.
    run.due = true;
    requestAnimationFrame(() => {
      run.due = false;
      if (running.has(run.id)) run.pane.paint(run.answer);
    });
  }

  function end(run, conclude) {
    if (!running.delete(run.id)) return;
    run.pane.paint(run.answer);
    conclude();
    if (!active().some((pane) => pane.messages.includes(run.question))) giveBack(run.question);
    buttons();
  }

  // What came to nothing is to be written once more, unless something else was begun.
  function giveBack(question) {
    if (question?.role !== "user" || draft().length) return;
    find("user").value = textOf(question);
    images.set(imagesOf(question));
  }

  function buttons() {
    const talked = active().some((pane) => pane.messages.length);
    find("stop").disabled = running.size === 0;
    find("run").disabled = running.size > 0;
    find("back").disabled = find("anew").disabled = running.size > 0 || !talked;
    code();
  }

  const stop = (runs) => {
    for (const run of runs) socket.say({ type: "cancel", id: run.id });
  };

  // ------------------------------------------------------------------------------------------------------------ the page
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!running.size) ask();
  });
  // A field that is wrong cannot be shown while it is folded away.
  form.addEventListener("invalid", (event) => event.target.closest("details")?.setAttribute("open", ""), true);
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const answering = panes.find((pane) => pane.node.contains(event.target) && pane.open().length);
    if (answering) answerTools(answering);
    else form.requestSubmit();
  });
  find("stop").addEventListener("click", () => stop(running.values()));
  find("back").addEventListener("click", () => {
    const [question] = active().map((pane) => pane.takeBack());
    giveBack(question);
    buttons();
    find("user").focus();
  });
  find("anew").addEventListener("click", () => {
    const question = panes[0].messages.find((message) => message.role === "user");
    for (const pane of panes) pane.reset([]);
    giveBack(question);
    tell("");
    buttons();
    find("user").focus();
  });
  find("compare").addEventListener("change", () => {
    panes[1].node.hidden = !compared();
    find("panes").classList.toggle("two", compared());
    // Both go on from the same conversation.
    if (compared()) panes[1].reset([...panes[0].messages]);
    else stop([...running.values()].filter((run) => run.pane === panes[1]));
    buttons();
  });

  let language = "curl";
  function code() {
    const [pane] = panes;
    const next = pane.open().length ? pane.results() : draft();
    const messages = next.length ? [...pane.messages, ...next] : lastRequest(pane.messages);
    const request = body(pane, messages.length ? messages : [userMessage("", [])]);
    // Images are megabytes of letters, which a page shows slowly and nobody reads; copied, they are whole.
    const shown = request.messages.map(withoutImages);
    setText(find("code"), codeFor(language, location.origin, { ...request, messages: shown }));
    find("code").wholeText = () => codeFor(language, location.origin, request);
    find("code-shortened").hidden = shown.every((message, position) => message === request.messages[position]);
  }
  form.addEventListener("input", code);
  find("languages").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    language = button.dataset.language;
    for (const each of find("languages").children) each.setAttribute("aria-pressed", String(each === button));
    code();
  });
  buttons();
}
