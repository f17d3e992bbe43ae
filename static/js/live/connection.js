// Where messages come from: the WebSocket, else polling with a banner that says since when the page is stale.
import { ago, fill, setText, timeOfDay } from "../format.js";
import { find, words } from "./page.js";

let socket = null;
let hear = () => {};
let heardAt = performance.now();
let attempts = 0;
let lostAt = null;
let polling = null;

function take(message) {
  heardAt = performance.now();
  hear(message);
}

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/dashboard/`);
  socket.addEventListener("message", (event) => {
    attempts = 0;
    if (lostAt) {
      lostAt = null;
      clearInterval(polling);
      polling = null;
    }
    take(JSON.parse(event.data));
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
    take(await answer.json());
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
}, 1000);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  if (socket?.readyState === 1) socket.send('{"type":"snapshot"}');
  else poll();
});

// `listener` is given each message, whichever way it came.
export function listen(listener) {
  hear = listener;
  connect();
}
