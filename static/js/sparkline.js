// Small charts as SVG paths: no axes, no library. Gaps stay gaps.
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 120;
const HEIGHT = 28;

export function sparkline(classes) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "spark");
  svg.setAttribute("aria-hidden", "true");
  for (const name of classes) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    svg.append(path);
  }
  return svg;
}

// `series`: one list of numbers (or null) for each path. All share one scale unless `own` says so. `size`: how many
// points fill the width; fewer stand at the right end, where the present is.
export function draw(svg, series, { size = null, own = false, floor = 0, floors = [] } = {}) {
  const peak = (lists) => Math.max(floor, ...lists.map((list) => list.reduce((high, value) => Math.max(high, value ?? 0), 0))) || 1;
  const shared = peak(series);
  series.forEach((list, index) => {
    const high = own ? Math.max(peak([list]), floors[index] ?? 0) : shared;
    const total = Math.max(size ?? list.length, 2);
    const step = WIDTH / (total - 1);
    const offset = total - list.length;
    let path = "";
    let pen = false;
    list.forEach((value, position) => {
      if (value == null) {
        pen = false;
        return;
      }
      const x = ((position + offset) * step).toFixed(1);
      const y = (HEIGHT - 2 - (value / high) * (HEIGHT - 4)).toFixed(1);
      const lone = list[position + 1] == null && !pen;
      path += lone ? `M${x} ${y}h.01` : `${pen ? "L" : "M"}${x} ${y}`;
      pen = !lone;
    });
    const node = svg.children[index];
    if (node.getAttribute("d") !== path) node.setAttribute("d", path);
  });
}
