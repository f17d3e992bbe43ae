// The newest requests. A row is made once and keeps its node.
import { count, duration, element, missing, money, setText, timeOfDay } from "../format.js";
import { find, words } from "./page.js";

const ROWS = 50;
let recent = [];
let paused = false;

const SHOWS = {
  "": () => true,
  errors: (call) => call.status >= 400 && call.status !== 499,
  failed_over: (call) => call.attempts > 1,
  slow: (call) => call.first > 1000,
};
const table = find("recent");

// What was refused at the door has no model yet, but a reason.
function wentTo(call) {
  if (call.provider === "none" && call.model === "other") return [element("span", { class: "muted" }, `${words.refused}: ${call.error}`)];
  const cut = (name) => element("span", { class: "cut", title: name }, name);
  return [cut(call.model), " → ", call.provider === "none" ? missing : cut(call.provider)];
}

function makeRow(call) {
  const kind = call.status < 400 ? "ok" : call.status === 499 ? "idle" : "bad";
  // What a phone has no place for stands on the request's own page.
  const cell = (text, always) => element("td", { class: always ? "number" : "number wide-cell" }, text);
  return element(
    "tr",
    {},
    element("td", {}, element("a", { href: `requests/${encodeURIComponent(call.id)}/` }, timeOfDay(call.at))),
    element("td", { class: "wide-cell" }, element("span", { class: "cut", title: call.team ? `${call.key} · ${call.team}` : call.key }, call.key || missing)),
    element("td", { class: "went" }, ...wentTo(call)),
    cell(call.provider === "none" ? missing : count(call.attempts)),
    cell(duration(call.first)),
    cell(duration(call.total), true),
    cell(`${count(call.in)} · ${count(call.out)}`),
    cell(money(call.cost)),
    element("td", {}, element("span", { class: `state ${kind}`, title: call.error || "" }, String(call.status))),
  );
}

function drawRecent() {
  const wanted = find("request-filter").value.trim().toLowerCase();
  const passes = SHOWS[find("request-status").value];
  const rows = recent.filter((call) => passes(call) && (!wanted || `${call.key} ${call.team} ${call.model} ${call.provider} ${call.status} ${call.id}`.toLowerCase().includes(wanted))).slice(0, ROWS);
  const focused = table.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const known = new Map([...table.children].map((row) => [row.dataset.id, row]));
  const nodes = rows.map((call) => known.get(call.id) ?? Object.assign(makeRow(call), { call }));
  nodes.forEach((node, index) => (node.dataset.id = rows[index].id));
  if (!nodes.length) {
    const text = recent.length ? words.nothing_matches : words.no_requests;
    if (table.textContent !== text) table.replaceChildren(element("tr", {}, element("td", { colspan: 9, class: "muted" }, text)));
    return;
  }
  for (const row of [...table.children]) if (!nodes.includes(row)) row.remove();
  nodes.forEach((node, index) => table.children[index] !== node && table.insertBefore(node, table.children[index] ?? null));
  if (focused) table.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

// All that are known, or those of the second that ended.
export function showRequests(calls) {
  recent = calls;
  if (!paused) drawRecent();
}
export const addRequests = (calls) => showRequests([...calls, ...recent].slice(0, 4 * ROWS));

find("request-filter").addEventListener("input", drawRecent);
find("request-status").addEventListener("change", drawRecent);
find("pause").addEventListener("click", () => {
  paused = !paused;
  find("pause").setAttribute("aria-pressed", String(paused));
  setText(find("pause"), paused ? words.resume : words.pause);
  if (!paused) drawRecent();
});
