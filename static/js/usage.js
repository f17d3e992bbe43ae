// Charts of the usage page: cost by day, and tokens by day.
import { money, read, short } from "./format.js";
import { timeChart } from "./chart.js";

const words = read("words");
const days = read("days");
const column = (index) => days.map((day) => day[index]);
timeChart(document.getElementById("cost"), { series: [{ label: words.cost, kind: "first" }], format: (value) => money(value * 1e9), floor: 0.0001, bars: true, step: 86400 })([column(0), column(1).map((value) => value || null)]);
timeChart(document.getElementById("tokens"), {
  series: [{ label: words.input, kind: "first" }, { label: words.output, kind: "second" }],
  format: (value) => short(value),
  floor: 10,
  step: 86400,
})([column(0), column(2), column(3)]);
for (const field of document.querySelectorAll("[data-submit]")) field.addEventListener("change", () => field.form.requestSubmit());
