// The figures of the whole gateway: live, or over a period that the reader chooses.
import { duration, fill, get, missing, money, percent, rate, setText, short } from "../format.js";
import { draw, sparkline } from "../sparkline.js";
import { find, words } from "./page.js";

const POINTS = 60;
let now = { figures: [0, 0, null, null, 0, 0, 0], cost: 0 };
let series = [];
let range = "live";

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
  const label = document.querySelector(`[data-range="${wanted}"]`).textContent;
  const answer = await get(`history.json?range=${wanted}`).catch((error) => error);
  if (wanted !== range) return;
  if (answer instanceof Error) {
    // The figures of another period would pass for those of this one.
    for (const { number, note, svg } of Object.values(tiles)) {
      setText(number, missing);
      setText(note, `${label} · ${answer.message}`);
      draw(svg, [[], []].slice(0, svg.children.length));
    }
    return;
  }
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
  for (const tile of Object.values(tiles)) setText(tile.note, label);
  setText(tiles.first.note, `${label} · ${words.mean}`);
  draw(tiles.rps.svg, [column(1)]);
  draw(tiles.errors.svg, [column(2)], { floor: 5 });
  draw(tiles.first.svg, [column(3), []]);
  draw(tiles.tokens.svg, [column(4), column(5)]);
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

export function showTiles(message) {
  now = message;
  if (message.series) series = message.series.slice(-POINTS);
  if (message.point) series = [...series, message.point].slice(-POINTS);
  drawTiles();
  if (message.series || message.point) drawSeries();
}
