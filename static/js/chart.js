// One way to draw a chart over time with uPlot: at most two lines, units on the axis, colours of the theme.
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// light-dark() is resolved by the browser on an element, not by a canvas.
function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

// Pixels that the longest label takes, so that amounts of many digits are not cut off.
const room = (labels) => Math.max(64, 14 + 7 * Math.max(0, ...(labels ?? []).map((label) => label.length)));

const LINES = { first: ["--accent", []], second: ["--muted", [4, 3]], bad: ["--bad", [4, 3]] };

// `series`: [{ label, kind, format }]; `data`: [times, values, values]. Returns what replaces the data or the theme.
export function timeChart(host, { series, step = 60, format, bars = false, floor = 1 }) {
  let chart = null;
  let shown = null;
  const label = (options) => new Intl.DateTimeFormat(document.documentElement.lang, { hour12: false, ...options });
  const day = () => label({ month: "short", day: "numeric", timeZone: step >= 86400 ? "UTC" : undefined });
  const hour = label({ hour: "2-digit", minute: "2-digit" });
  const timeLabel = (at) => {
    const date = new Date(at * 1000);
    return step >= 86400 || (date.getHours() === 0 && date.getMinutes() === 0) ? day().format(date) : hour.format(date);
  };
  const options = () => {
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--border"), width: 1 }, ticks: { show: false }, font: `12px ${style("--sans")}` };
    return {
      width: Math.max(host.clientWidth, 200),
      height: 200,
      cursor: { y: false, points: { size: 7 } },
      legend: { live: true },
      padding: [8, 12, 0, 0],
      scales: { x: { range: (_chart, low, high) => (bars ? [low - step / 2, high + step / 2] : [low, high]) }, y: { range: (_chart, _low, high) => [0, Math.max(high ?? 0, floor) * 1.08] } },
      axes: [{ ...axis, size: 28, space: 70, values: (_chart, values) => values.map(timeLabel) }, { ...axis, size: (_chart, labels) => room(labels), values: (_chart, values) => values.map((value) => format(value)) }],
      series: [
        { label: "", value: (_chart, at) => (at == null ? "–" : `${day().format(at * 1000)} ${step >= 86400 ? "" : hour.format(at * 1000)}`) },
        ...series.map(({ label, kind }) => ({
          label,
          stroke: colour(LINES[kind][0]),
          dash: LINES[kind][1],
          width: 1.5,
          spanGaps: false,
          points: { show: (_chart, index) => !(bars && kind === "first") && lonely(shown[index]), size: 4 },
          value: (_chart, value) => (value == null ? "–" : format(value)),
          fill: bars ? colour(LINES[kind][0]).replace("rgb(", "rgba(").replace(")", ", .18)") : undefined,
          paths: bars && kind === "first" ? uPlot.paths.bars({ size: [0.7, 40] }) : undefined,
        })),
      ],
    };
  };
  const lonely = (values) => values.filter((value) => value != null).length < 3;
  const rebuild = () => {
    if (!shown) return;
    chart?.destroy();
    chart = new uPlot(options(), shown, host);
  };
  new ResizeObserver(() => chart && chart.width !== host.clientWidth && chart.setSize({ width: Math.max(host.clientWidth, 200), height: 200 })).observe(host);
  document.addEventListener("themechange", () => requestAnimationFrame(rebuild));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", rebuild);
  return (data, width = step) => {
    step = width;
    shown = data;
    rebuild();
  };
}
