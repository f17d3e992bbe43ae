// What every part of the live page shares: its words, and how states are ordered and coloured.
import { read, setText, zone } from "../format.js";

export const words = read("words");
export const find = (id) => document.getElementById(id);
export const WORST_FIRST = ["unhealthy", "degraded", "empty", "unknown", "healthy"];
for (const node of document.querySelectorAll("[data-zone]")) setText(node, `(${zone})`);
export const CLASSES = { healthy: "ok", degraded: "warn", unhealthy: "bad", unknown: "idle", empty: "idle" };

// A code, or a sentence of the gateway's own with figures and codes in it, in the reader's language; else as it came.
export function say(text) {
  if (words.causes[text]) return words.causes[text];
  for (const [pattern, sentence] of words.sentences) {
    const found = text.match(pattern);
    if (found) return sentence.replace(/\{(\d)\}/g, (_whole, number) => say(found[Number(number) + 1]));
  }
  return text;
}
export const cause = (data) => say(data.cause);
