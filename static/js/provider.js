// Charts of one provider over a chosen range, and its buttons.
import { duration, fill, get, percent, post, rate, read, setText, zone } from "./format.js";
import { timeChart } from "./chart.js";

const words = read("words");
const find = (id) => document.getElementById(id);
const latency = timeChart(find("latency"), {
  series: [{ label: words.first, kind: "first" }, { label: words.checks, kind: "second" }],
  format: (value) => duration(value),
  floor: 100,
});
const traffic = timeChart(find("traffic"), { series: [{ label: words.requests, kind: "first" }], format: (value) => rate(value), floor: 1, bars: true });
const errors = timeChart(find("errors"), { series: [{ label: words.errors, kind: "bad" }], format: (value) => `${percent(value)} %`, floor: 5 });

let range = "1h";
// The tables below, which the server writes, are in UTC.
setText(find("zone"), fill(words.zone, { zone }));

async function show() {
  const wanted = range;
  const answer = await get(`history.json?range=${wanted}`).catch((error) => error);
  if (wanted !== range) return;
  if (answer instanceof Error) {
    // The lines of another period would pass for those of this one.
    latency([[], [], []]);
    traffic([[], []]);
    errors([[], []]);
    setText(find("nothing"), fill(words.failed, { reason: answer.message }));
    find("nothing").hidden = false;
    return;
  }
  const times = answer.points.map((point) => point[0]);
  const column = (index) => answer.points.map((point) => point[index]);
  const checks = new Map(answer.checks.map(([at, ms]) => [Math.floor(at / answer.step) * answer.step, ms]));
  latency([times, column(3), times.map((at) => checks.get(at) ?? null)], answer.step);
  traffic([times, column(1).map((value) => value || null)], answer.step);
  errors([times, column(2)], answer.step);
  const busy = answer.points.some((point) => point[1] > 0) || checks.size > 0;
  setText(find("nothing"), words.nothing);
  find("nothing").hidden = busy;
}

find("ranges").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  range = button.dataset.range;
  for (const each of find("ranges").children) each.setAttribute("aria-pressed", String(each === button));
  show();
});

find("actions")?.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-action]");
  if (!button) return;
  if (button.dataset.confirm && !confirm(button.dataset.confirm)) return;
  button.disabled = true;
  setText(find("result"), words.checking);
  const answer = await post(`${button.dataset.action}/`).catch((error) => ({ ok: false, message: error.message }));
  button.disabled = false;
  find("result").className = `state ${answer.ok ? "ok" : "bad"}`;
  setText(find("result"), answer.ok ? answer.message : fill(words.failed, { reason: answer.message }));
  if (answer.ok && button.dataset.action !== "check") offer(button, button.dataset.action === "hold" ? "release" : "hold");
});

// What is held can be released, and the other way round; a reset releases, too.
function offer(pressed, wanted) {
  for (const action of ["hold", "release"]) find("actions").querySelector(`[data-action="${action}"]`).hidden = action !== wanted;
  if (pressed.hidden) find("actions").querySelector(`[data-action="${wanted}"]`).focus();
}

show();
setInterval(() => !document.hidden && show(), 60000);
