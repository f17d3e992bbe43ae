// Numbers, times and sentences as every page shows them. Units are always written.
const locale = document.documentElement.lang || "en";
const dash = "–";
const formats = new Map();
const number = (value, digits) => {
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return formats.get(digits).format(value);
};
const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const shortClock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hour12: false });
const dayAndClock = new Intl.DateTimeFormat(locale, {
  month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false,
});

export const missing = dash;
export const count = (value) => (value == null ? dash : number(value, 0));
export const rate = (value) => (value == null ? dash : number(value, value >= 100 ? 0 : 1));
export const percent = (value) => (value == null ? dash : number(value, value === 0 || value >= 10 ? 0 : value < 1 ? 2 : 1));
export const uptime = (value) => (value == null ? dash : `${number(value, value === 100 ? 0 : 2)} %`);

export function duration(ms) {
  if (ms == null) return dash;
  if (ms < 1000) return `${number(ms, 0)} ms`;
  return `${number(ms / 1000, ms < 10000 ? 2 : 1)} s`;
}

export function money(nanoUsd) {
  if (nanoUsd == null) return dash;
  const dollars = nanoUsd / 1e9;
  if (dollars === 0) return "$0";
  // Two digits that say something, however small it is.
  const small = () => Math.min(1 - Math.floor(Math.log10(dollars)), 9);
  return `$${number(dollars, dollars < 0.01 ? small() : dollars < 1 ? 4 : 2)}`;
}

export function short(value) {
  if (value == null) return dash;
  if (value < 1000) return number(value, value < 10 && value % 1 ? 1 : 0);
  return value < 1e6 ? `${number(value / 1e3, value < 1e4 ? 1 : 0)} k` : `${number(value / 1e6, 1)} M`;
}

// Of the times on a page that the browser writes.
export const zone = new Intl.DateTimeFormat(locale, { timeZoneName: "short" }).formatToParts().find((part) => part.type === "timeZoneName").value;
export const timeOfDay = (epoch) => clock.format(epoch * 1000);
export const time = (epoch) => {
  const old = Math.abs(Date.now() / 1000 - epoch) > 20 * 3600;
  return (old ? dayAndClock : shortClock).format(epoch * 1000);
};

export const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

export function ago(seconds, words) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return fill(words.ago_s, { n: whole });
  if (whole < 5400) return fill(words.ago_min, { n: Math.round(whole / 60) });
  if (whole < 129600) return fill(words.ago_h, { n: Math.round(whole / 3600) });
  return fill(words.ago_d, { n: Math.round(whole / 86400) });
}

export const read = (id) => JSON.parse(document.getElementById(id).textContent);

// element("a", { class: "x", href: "…" }, child, "text"): text is text, never markup.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

export const setText = (node, text) => {
  if (node.firstChild && node.firstChild.nodeType === 3 && node.childNodes.length === 1) {
    if (node.firstChild.data !== text) node.firstChild.data = text;
  } else node.textContent = text;
};

// Who is no longer signed in is sent to the login page, which answers with 200: loaded again, the page itself leads there.
async function ask(address, options) {
  const answer = await fetch(address, options).catch(() => {
    throw new Error(read("words").unreachable);
  });
  if (answer.redirected) location.reload();
  return answer;
}

export async function get(address) {
  const answer = await ask(address);
  if (!answer.ok || answer.redirected) throw new Error(`HTTP ${answer.status}`);
  return answer.json();
}

export async function post(address) {
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";
  const answer = await ask(address, { method: "POST", headers: { "X-CSRFToken": token } });
  const said = await answer.json().catch(() => ({}));
  return { ok: false, message: said.error?.message ?? `HTTP ${answer.status}`, ...said };
}
