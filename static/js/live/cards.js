// A card for each provider. Nodes are made once and only their text is changed.
import { ago, count, duration, element, fill, percent, post, rate, setText, time, timeOfDay, uptime } from "../format.js";
import { draw, sparkline } from "../sparkline.js";
import { cause, CLASSES, find, words, WORST_FIRST } from "./page.js";

const SPARK_POINTS = 30;
const cards = new Map();
const mayOperate = "mayOperate" in find("cards").dataset;

const withSpark = (data) => ({ ...data, spark: data.spark ?? [] });

function makeCard(data) {
  const address = `providers/${data.id}/`;
  const state = element("span", { class: "state" });
  const name = element("a", { class: "name", href: address, title: data.name }, data.name);
  const breaker = element("span", { class: "breaker" });
  const rps = element("a", { class: "number", href: `requests/?provider=${encodeURIComponent(data.name)}` });
  const first = element("a", { class: "number", href: address });
  const errors = element("a", { class: "number", href: `requests/?provider=${encodeURIComponent(data.name)}&status=errors` });
  const active = element("span", { class: "muted number" });
  const why = element("p", { class: "cause" });
  const spark = sparkline(["first", "bad"]);
  const cells = element("span", { class: "cells", role: "img" });
  const up = element("a", { class: "number", href: address });
  const models = element("div", { class: "models" });
  const check = element("button", { class: "link-button", type: "button" }, words.check);
  const reset = element("button", { class: "link-button", type: "button" }, words.reset);
  const result = element("span", { class: "result", role: "status" });
  const checked = element("span", { class: "push" });
  const node = element(
    "article",
    { class: "provider-card", "aria-label": data.name },
    element("header", {}, name, data.demo ? element("span", { class: "tag" }, words.demo) : null, state),
    element("div", { class: "figures" }, rps, first, errors, active),
    element("div", { class: "middle" }, models, why),
    element("div", { class: "history" }, spark, cells, up),
    element("div", { class: "facts-line" }, breaker, checked),
    mayOperate ? element("div", { class: "actions" }, check, reset, result) : null,
  );
  const card = { data: withSpark(data), node, state, breaker, rps, first, errors, active, why, spark, cells, up, models, checked, result, reset };
  let fading = null;
  const act = async (button, action) => {
    clearTimeout(fading);
    button.disabled = true;
    setText(result, words.checking);
    const answer = await post(`${address}${action}/`).catch((error) => ({ ok: false, message: error.message }));
    button.disabled = false;
    setText(result, answer.ok ? answer.message : fill(words.failed, { reason: answer.message }));
    result.title = result.textContent;
    clearTimeout(fading);
    fading = setTimeout(() => setText(result, ""), 8000);
  };
  check.addEventListener("click", () => act(check, "check"));
  reset.addEventListener("click", () => act(reset, "reset"));
  const shown = data.models.join(" · ") + (data.more ? ` · ${fill(words.more, { n: data.more })}` : "");
  setText(models, `${fill(words.priority, { n: data.priority })} · ${shown || words.no_models}`);
  models.title = shown;
  return card;
}

// A figure whose meaning is told by its place is told by its name, too.
function named(node, name, figure) {
  const whole = `${name}: ${figure}`;
  if (node.title === whole) return;
  setText(node, figure);
  node.title = whole;
  node.setAttribute("aria-label", whole);
}

function drawCard(card) {
  const { data } = card;
  if (card.node.dataset.state !== data.state) {
    card.node.dataset.state = data.state;
    card.state.className = `state ${CLASSES[data.state]}`;
    setText(card.state, words.states[data.state]);
  }
  const held = data.held === "open";
  card.breaker.className = `breaker ${data.breaker}`;
  setText(card.breaker, held ? words.held : data.breaker === "open" && data.opens ? fill(words.open_until, { time: timeOfDay(data.opens) }) : fill(words.breaker_is, { state: words.breakers[data.breaker] }));
  setText(card.rps, `${rate(data.rps)} req/s`);
  named(card.first, words.first_token, duration(data.first));
  named(card.errors, words.failed_attempts, `${percent(data.errors)} %`);
  setText(card.active, fill(words.active, { count: data.active }));
  const sentences = [];
  if (data.cause) sentences.push(`${cause(data)}${data.since ? `, ${fill(words.since, { time: time(data.since) })}` : ""}`);
  for (const [name, number] of Object.entries(data.instead ?? {})) sentences.push(fill(words.instead, { count: count(number), name }));
  setText(card.why, sentences.join(" · "));
  card.models.hidden = sentences.length > 0;
  card.why.title = card.why.textContent;
  card.reset.hidden = data.breaker === "closed" && !data.held;
  if (card.drawn !== data.cells) {
    card.drawn = data.cells;
    card.cells.replaceChildren(...[...data.cells].map((kind) => element("i", { class: kind === "-" ? "none" : kind })));
  }
  const [day, week, month] = data.uptime ?? [];
  setText(card.up, uptime(day));
  const title = fill(words.uptime_title, { day: uptime(day), week: uptime(week), month: uptime(month) });
  if (card.cells.title !== title) {
    card.cells.title = card.up.title = title;
    card.cells.setAttribute("aria-label", `${words.cells}. ${title}`);
  }
}

function drawSpark(card) {
  draw(card.spark, [card.data.spark.map((point) => point[0]), card.data.spark.map((point) => point[1] || null)], { size: SPARK_POINTS, own: true, floors: [0, 25] });
}

const ORDERS = {
  priority: (one, other) => one.priority - other.priority || one.name.localeCompare(other.name),
  trouble: (one, other) => WORST_FIRST.indexOf(one.state) - WORST_FIRST.indexOf(other.state) || ORDERS.priority(one, other),
  traffic: (one, other) => other.rps - one.rps || ORDERS.priority(one, other),
  name: (one, other) => one.name.localeCompare(other.name),
};
let arrangement = "";

function arrange() {
  const wanted = find("provider-filter").value.trim().toLowerCase();
  const sorted = [...cards.values()].sort((one, other) => ORDERS[find("sort").value](one.data, other.data));
  let visible = 0;
  for (const card of sorted) {
    const text = `${card.data.name} ${card.data.kind} ${card.data.models.join(" ")} ${words.states[card.data.state]}`.toLowerCase();
    card.node.hidden = !text.includes(wanted);
    visible += !card.node.hidden;
  }
  find("no-match").hidden = visible > 0 || !cards.size;
  const order = sorted.map((card) => card.data.id).join();
  if (order === arrangement) return;
  arrangement = order;
  const focused = document.activeElement;
  find("cards").append(...sorted.map((card) => card.node));
  if (focused && focused !== document.body && find("cards").contains(focused)) focused.focus({ preventScroll: true });
}
find("sort").addEventListener("change", arrange);
find("provider-filter").addEventListener("input", arrange);

export const providers = () => [...cards.values()].map((card) => card.data);

// What is written once, when a card is made.
const fixed = (data) => JSON.stringify([data.name, data.demo, data.priority, data.models, data.more]);

// A snapshot comes with every connection: who presses a button just then must not press it on a card that is gone.
function keptCard(data) {
  const card = cards.get(data.id);
  if (!card || fixed(card.data) !== fixed(data)) return null;
  card.data = withSpark(data);
  return card;
}

function replacedCard(data) {
  const card = makeCard(data);
  cards.get(data.id)?.node.replaceWith(card.node);
  cards.set(data.id, card);
  return card;
}

export function showProviders(all) {
  const gone = new Set(cards.keys());
  for (const data of all) {
    gone.delete(data.id);
    const card = keptCard(data) ?? replacedCard(data);
    drawCard(card);
    drawSpark(card);
  }
  for (const id of gone) {
    cards.get(id).node.remove();
    cards.delete(id);
  }
  arrange();
  drawTimes();
}

// `changed` and `points` by provider: fields that are new, and what the small chart goes on with.
export function changeProviders(changed, points) {
  for (const [id, fields] of Object.entries(changed ?? {})) {
    const card = cards.get(Number(id));
    if (!card) continue;
    Object.assign(card.data, fields);
    drawCard(card);
  }
  if (!points) return;
  for (const [id, point] of Object.entries(points)) {
    const card = cards.get(Number(id));
    if (!card) continue;
    card.data.spark = [...card.data.spark, point].slice(-SPARK_POINTS);
    drawSpark(card);
  }
  // Nothing moves away under a pointer or a focus.
  if (find("sort").value !== "priority" && !find("cards").matches(":hover, :focus-within")) arrange();
}

export function drawTimes() {
  for (const { data, checked } of cards.values()) {
    setText(checked, data.checked ? fill(words.checked, { ago: ago(Date.now() / 1000 - data.checked, words) }) : words.never_checked);
  }
}
