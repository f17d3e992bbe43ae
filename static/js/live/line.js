// The top line: one sentence about everything, and the same words for a screen reader when they change.
import { duration, fill, money, percent, rate, setText } from "../format.js";
import { cause, find, words, WORST_FIRST } from "./page.js";

const line = find("line");
let announced = "";

// `now`: the newest message; `providers`: what is known of each.
export function drawLine(now, providers) {
  // A provider that rests for some seconds as it asked to is shown on its card; the line stays calm.
  const calm = (data) => (data.state === "degraded" && data.cause === "credential_cooling" ? { ...data, state: "healthy", cause: "" } : data);
  const all = providers.map(calm);
  const those = (state) => all.filter((each) => each.state === state).length;
  const [healthy, unknown, down] = ["healthy", "unknown", "unhealthy"].map(those);
  const total = all.length - those("empty");
  const [rps, errors, p50] = now.figures;
  let state = "ok";
  let head = fill(words.all_well, { healthy, total });
  if (now.late) [state, head] = ["idle", words.late];
  else if (!total) [state, head] = ["idle", all.length ? words.none_serving : words.no_providers];
  else if (down === total) [state, head] = ["bad", words.none_healthy];
  else if (healthy < total) {
    // What was never checked is neither well nor ill.
    state = down ? "bad" : healthy + unknown < total ? "warn" : healthy ? "ok" : "idle";
    head = fill(words.not_all, { healthy, total }) + (unknown ? ` · ${fill(words.unchecked, { count: unknown })}` : "");
  }
  if (total && errors >= 5) [state, head] = ["bad", `${head} · ${fill(words.errors_high, { errors: percent(errors) })}`];
  const worst = all.filter((each) => each.state === "unhealthy" || each.state === "degraded").sort((one, other) => WORST_FIRST.indexOf(one.state) - WORST_FIRST.indexOf(other.state))[0];
  if (worst?.cause) head += ` · ${worst.name}: ${cause(worst)}`;
  if (now.stale_config) [state, head] = ["warn", `${head} · ${words.stale_config}`];
  line.className = `banner ${state === "idle" ? "" : state}`;
  find("line-state").className = `state ${state}`;
  setText(find("line-state"), head);
  setText(find("line-rest"), fill(words.line, { rps: rate(rps), errors: percent(errors), first: duration(p50), cost: money(now.cost) }));
  if (announced && head !== announced) find("announce").textContent = head;
  announced = head;
}
