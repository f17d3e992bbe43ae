// The live page: one snapshot, then one small message a second. Nodes are made once and only their text is changed.
import { ago, count, duration, element, fill, missing, money, percent, post, rate, read, setText, short, time, timeOfDay, uptime } from "./format.js";
import { draw, sparkline } from "./sparkline.js";

const words = read("words");
const find = (id) => document.getElementById(id);
const POINTS = 60;
const SPARK_POINTS = 30;
const ROWS = 50;
const WORST_FIRST = ["unhealthy", "degraded", "unknown", "healthy"];
const CLASSES = { healthy: "ok", degraded: "warn", unhealthy: "bad", unknown: "idle" };

let now = { figures: [0, 0, null, null, 0, 0, 0], cost: 0, n: 0 };
let series = [];
let recent = [];
let range = "live";
let paused = false;
let heardAt = performance.now();
const cards = new Map();

// ------------------------------------------------------------------------------------------------------------- top line
const line = find("line");
let announced = "";

function drawLine() {
  // A provider that rests for some seconds as it asked to is shown on its card; the line stays calm.
  const calm = (data) => (data.state === "degraded" && data.cause === "credential_cooling" ? { ...data, state: "healthy", cause: "" } : data);
  const all = [...cards.values()].map((card) => calm(card.data));
  const total = all.length;
  const healthy = all.filter((each) => each.state === "healthy" || each.state === "unknown").length;
  const down = all.filter((each) => each.state === "unhealthy");
  const [rps, errors, p50] = now.figures;
  let state = "ok";
  let head = fill(words.all_well, { healthy, total });
  if (!total) [state, head] = ["idle", words.no_providers];
  else if (down.length === total) [state, head] = ["bad", words.none_healthy];
  else if (healthy < total) [state, head] = [down.length ? "bad" : "warn", fill(words.not_all, { healthy, total })];
  if (total && errors >= 5) [state, head] = ["bad", `${head} · ${fill(words.errors_high, { errors: percent(errors) })}`];
  const worst = all.filter((each) => each.state === "unhealthy" || each.state === "degraded").sort((one, other) => WORST_FIRST.indexOf(one.state) - WORST_FIRST.indexOf(other.state))[0];
  if (worst?.cause) head += ` · ${worst.name}: ${cause(worst)}`;
  if (now.stale_config) [state, head] = ["warn", `${head} · ${words.stale_config}`];
  line.className = `banner ${state === "idle" ? "" : state}`;
  find("line-state").className = `state ${state}`;
  setText(find("line-state"), head);
  setText(find("line-rest"), fill(words.line, { rps: rate(rps), errors: percent(errors), first: duration(p50), cost: money(now.cost) }));
  const said = `${head}`;
  if (announced && said !== announced) find("announce").textContent = said;
  announced = said;
}

// ---------------------------------------------------------------------------------------------------------------- tiles
const tiles = Object.fromEntries(
  [...document.querySelectorAll("[data-tile]")].map((tile) => {
    const double = tile.dataset.tile === "first" || tile.dataset.tile === "tokens";
    const svg = sparkline(tile.dataset.tile === "errors" ? ["bad"] : double ? ["first", "second"] : ["first"]);
    tile.append(svg);
    return [tile.dataset.tile, { number: tile.querySelector(".tile-number"), note: tile.querySelector(".tile-note"), svg, tile }];
  }),
);

function drawTiles() {
  if (range !== "live") return;
  const [rps, errors, p50, p95, input, output] = now.figures;
  setText(tiles.rps.number, rate(rps));
  setText(tiles.errors.number, `${percent(errors)} %`);
  setText(tiles.first.number, `${duration(p50)} · ${duration(p95)}`);
  setText(tiles.tokens.number, `${short(input)} · ${short(output)}`);
  setText(tiles.cost.number, money(now.cost));
  for (const name of ["rps", "errors", "first", "tokens"]) setText(tiles[name].note, words.last_minute);
  setText(tiles.cost.note, words.today);
}

function drawSeries() {
  if (range !== "live") return;
  const column = (index) => series.map((point) => point[index]);
  draw(tiles.rps.svg, [column(0)], { size: POINTS });
  draw(tiles.errors.svg, [column(1)], { size: POINTS, floor: 5 });
  draw(tiles.first.svg, [column(2), column(3)], { size: POINTS });
  draw(tiles.tokens.svg, [column(4), column(5)], { size: POINTS });
  draw(tiles.cost.svg, [column(6)], { size: POINTS });
}

async function drawHistory() {
  const wanted = range;
  const answer = await fetch(`history.json?range=${wanted}`).then((each) => each.json(), () => null);
  if (!answer || wanted !== range) return;
  const points = answer.points;
  const column = (index) => points.map((point) => point[index]);
  const sum = (index) => column(index).reduce((total, value) => total + (value ?? 0), 0);
  const busy = points.reduce((total, point) => total + point[1], 0);
  const weighted = (index) => (busy ? points.reduce((total, point) => total + (point[index] ?? 0) * point[1], 0) / busy : null);
  setText(tiles.rps.number, rate(busy / points.length));
  setText(tiles.errors.number, `${percent(weighted(2) ?? 0)} %`);
  const timed = points.filter((point) => point[3] != null);
  const calls = timed.reduce((total, point) => total + point[1], 0);
  setText(tiles.first.number, duration(calls ? timed.reduce((total, point) => total + point[3] * point[1], 0) / calls : null));
  setText(tiles.tokens.number, `${short(sum(4) / points.length)} · ${short(sum(5) / points.length)}`);
  setText(tiles.cost.number, money(sum(6)));
  const label = document.querySelector(`[data-range="${wanted}"]`).textContent;
  for (const tile of Object.values(tiles)) setText(tile.note, label);
  setText(tiles.first.note, `${label} · ${words.mean}`);
  draw(tiles.rps.svg, [column(1)]);
  draw(tiles.errors.svg, [column(2)], { floor: 5 });
  draw(tiles.first.svg, [column(3), []]);
  draw(tiles.tokens.svg, [column(4), column(5)], {});
  draw(tiles.cost.svg, [column(6)]);
}

find("ranges").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  range = button.dataset.range;
  for (const each of find("ranges").children) each.setAttribute("aria-pressed", String(each === button));
  document.querySelector("[data-quantiles]").hidden = range !== "live";
  if (range === "live") {
    drawTiles();
    drawSeries();
  } else drawHistory();
});
setInterval(() => range !== "live" && !document.hidden && drawHistory(), 60000);

// ---------------------------------------------------------------------------------------------------------------- cards
const cause = (data) => words.causes[data.cause] ?? data.cause;

function makeCard(data) {
  const address = `providers/${data.id}/`;
  const state = element("span", { class: "state" });
  const name = element("a", { class: "name", href: address }, data.name);
  const breaker = element("span", { class: "breaker" });
  const rps = element("a", { class: "number", href: `requests/?provider=${encodeURIComponent(data.name)}` });
  const first = element("a", { class: "number", href: address });
  const errors = element("a", { class: "number", href: `requests/?provider=${encodeURIComponent(data.name)}&status=errors` });
  const active = element("span", { class: "muted number push" });
  const why = element("p", { class: "cause" });
  const spark = sparkline(["first", "bad"]);
  const cells = element("span", { class: "cells", role: "img" });
  const up = element("a", { class: "number", href: address });
  const models = element("div", { class: "models" });
  const check = element("button", { class: "link-button", type: "button" }, words.check);
  const reset = element("button", { class: "link-button", type: "button" }, words.reset);
  const result = element("span", { class: "result", role: "status" });
  const checked = element("span", { class: "push", style: "white-space:nowrap" });
  const node = element(
    "article",
    { class: "provider-card", "aria-label": data.name },
    element("header", {}, state, name, data.demo ? element("span", { class: "tag" }, words.demo) : null, breaker),
    element("div", { class: "figures" }, rps, first, errors, active),
    element("div", { class: "middle" }, models, why),
    element("div", { class: "history" }, spark, cells, up),
    element("div", { class: "actions" }, check, reset, result, checked),
  );
  const card = { data: { ...data, spark: data.spark ?? [] }, node, state, breaker, rps, first, errors, active, why, spark, cells, up, models, checked, result, reset };
  const act = async (button, action) => {
    button.disabled = true;
    setText(result, words.checking);
    const answer = await post(`${address}${action}/`).catch((error) => ({ ok: false, message: String(error) }));
    button.disabled = false;
    setText(result, answer.ok ? answer.message : fill(words.failed, { reason: answer.message }));
    result.title = result.textContent;
    setTimeout(() => setText(result, ""), 8000);
  };
  check.addEventListener("click", () => act(check, "check"));
  reset.addEventListener("click", () => act(reset, "reset"));
  const shown = data.models.join(" · ") + (data.more ? ` · ${fill(words.more, { n: data.more })}` : "");
  setText(models, `${fill(words.priority, { n: data.priority })} · ${shown || words.no_models}`);
  models.title = shown;
  return card;
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
  setText(card.breaker, held ? words.held : data.breaker === "open" && data.opens ? fill(words.open_until, { time: timeOfDay(data.opens) }) : words.breakers[data.breaker]);
  setText(card.rps, `${rate(data.rps)} req/s`);
  setText(card.first, duration(data.first));
  setText(card.errors, `${percent(data.errors)} %`);
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

// ------------------------------------------------------------------------------------------------------------- requests
const SHOWS = {
  "": () => true,
  errors: (call) => call.status >= 400 && call.status !== 499,
  failed_over: (call) => call.attempts > 1,
  slow: (call) => call.first > 1000,
};
const table = find("recent");

function makeRow(call) {
  const kind = call.status < 400 ? "ok" : call.status === 499 ? "idle" : "bad";
  const cell = (text, number = true) => element("td", number ? { class: "number" } : {}, text);
  return element(
    "tr",
    {},
    element("td", {}, element("a", { href: `requests/${encodeURIComponent(call.id)}/` }, timeOfDay(call.at))),
    element("td", {}, element("span", { class: "cut", title: call.team ? `${call.key} · ${call.team}` : call.key }, call.key || missing)),
    element("td", {}, element("span", { class: "cut", title: call.model }, call.model), " → ", call.provider === "none" ? missing : call.provider),
    cell(call.provider === "none" ? missing : count(call.attempts)),
    cell(duration(call.first)),
    cell(duration(call.total)),
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

function take(calls) {
  recent = [...calls, ...recent].slice(0, 4 * ROWS);
  if (!paused) drawRecent();
}
find("request-filter").addEventListener("input", drawRecent);
find("request-status").addEventListener("change", drawRecent);
find("pause").addEventListener("click", () => {
  paused = !paused;
  find("pause").setAttribute("aria-pressed", String(paused));
  setText(find("pause"), paused ? words.resume : words.pause);
  if (!paused) drawRecent();
});

// ------------------------------------------------------------------------------------------------------------ incidents
function drawIncidents(incidents) {
  const list = find("incidents");
  if (!incidents.length) {
    list.replaceChildren(element("li", { class: "muted" }, words.no_incidents));
    return;
  }
  list.replaceChildren(
    ...incidents.map((each) =>
      element(
        "li",
        { class: each.to ? "" : "open" },
        element("span", { class: "number" }, `${time(each.from)} – ${each.to ? time(each.to) : words.now} `),
        each.provider ? element("a", { href: `providers/${each.provider}/` }, each.name) : element("strong", {}, each.name),
        element("span", { class: "cause" }, words.causes[each.cause] ?? each.cause),
      ),
    ),
  );
}

// ------------------------------------------------------------------------------------------------------------- messages
function showAll(message) {
  now = message;
  series = message.series.slice(-POINTS);
  recent = message.recent;
  const gone = new Set(cards.keys());
  for (const data of message.providers) {
    gone.delete(data.id);
    const old = cards.get(data.id);
    const card = makeCard(data);
    if (old) old.node.replaceWith(card.node);
    cards.set(data.id, card);
    drawCard(card);
    drawSpark(card);
  }
  for (const id of gone) {
    cards.get(id).node.remove();
    cards.delete(id);
  }
  arrangement = "";
  arrange();
  drawIncidents(message.incidents);
  if (!paused) drawRecent();
  drawTiles();
  drawSeries();
  drawLine();
}

function showSecond(message) {
  now = message;
  for (const [id, changed] of Object.entries(message.providers ?? {})) {
    const card = cards.get(Number(id));
    if (!card) continue;
    Object.assign(card.data, changed);
    drawCard(card);
  }
  if (message.spark) {
    for (const [id, point] of Object.entries(message.spark)) {
      const card = cards.get(Number(id));
      if (!card) continue;
      card.data.spark = [...card.data.spark, point].slice(-SPARK_POINTS);
      drawSpark(card);
    }
    if (find("sort").value !== "priority" && !find("cards").matches(":hover, :focus-within")) arrange();
  }
  if (message.point) {
    series = [...series, message.point].slice(-POINTS);
    drawSeries();
  }
  if (message.recent) take(message.recent);
  if (message.incidents) drawIncidents(message.incidents);
  drawTiles();
  drawLine();
}

function hear(message) {
  heardAt = performance.now();
  if (message.type === "snapshot") showAll(message);
  else showSecond(message);
}

// ----------------------------------------------------------------------------------------------------------- connection
let socket = null;
let attempts = 0;
let lostAt = null;
let polling = null;

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/dashboard/`);
  socket.addEventListener("message", (event) => {
    attempts = 0;
    if (lostAt) {
      lostAt = null;
      clearInterval(polling);
      polling = null;
    }
    hear(JSON.parse(event.data));
    drawFreshness();
  });
  socket.addEventListener("close", () => {
    socket = null;
    lostAt ??= Date.now() / 1000;
    attempts += 1;
    polling ??= setInterval(poll, 5000);
    setTimeout(connect, Math.min(1000 * 1.6 ** attempts, 15000) * (0.75 + Math.random() / 2));
    drawFreshness();
  });
}

let polled = false;
async function poll() {
  if (document.hidden) return;
  try {
    const answer = await fetch("live.json", { cache: "no-store" });
    if (answer.redirected || answer.status === 403) return location.reload();
    if (!answer.ok) throw new Error(answer.status);
    polled = true;
    hear(await answer.json());
  } catch {
    polled = false;
  }
  drawFreshness();
}

function drawFreshness() {
  const silent = (performance.now() - heardAt) / 1000;
  const live = socket?.readyState === 1 && silent < 4;
  find("link").className = `state ${live ? "ok" : "warn"}`;
  setText(find("link"), live ? words.live : words.polling);
  setText(find("freshness"), fill(words.updated, { ago: ago(silent, words) }));
  const stale = find("stale");
  stale.hidden = live || (!lostAt && silent < 4);
  if (stale.hidden) return;
  const since = lostAt ?? Date.now() / 1000 - silent;
  setText(stale, fill(lostAt && polled && silent < 10 ? words.stale_polling : words.stale, { time: timeOfDay(since) }));
}

function drawTimes() {
  for (const { data, checked } of cards.values()) {
    setText(checked, data.checked ? fill(words.checked, { ago: ago(Date.now() / 1000 - data.checked, words) }) : words.never_checked);
  }
}

// A page that slept has missed seconds: it asks for everything, and looks for a new connection if the old one is dead.
let ticked = Date.now();
setInterval(() => {
  const slept = Date.now() - ticked > 5000;
  ticked = Date.now();
  if ((slept || performance.now() - heardAt > 6000) && socket?.readyState === 1) {
    if (performance.now() - heardAt > 15000) socket.close();
    else socket.send('{"type":"snapshot"}');
  }
  drawFreshness();
  if (!document.hidden) drawTimes();
}, 1000);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  if (socket?.readyState === 1) socket.send('{"type":"snapshot"}');
  else poll();
});

showAll(read("snapshot"));
drawTimes();
connect();
