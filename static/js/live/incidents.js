// What went wrong in the last days.
import { element, time } from "../format.js";
import { find, say, words } from "./page.js";

export function drawIncidents(incidents) {
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
        element("span", { class: "cause" }, say(each.cause)),
      ),
    ),
  );
}
