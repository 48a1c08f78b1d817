// The plots: gap against task with the rows that nothing beats in both, and learning curves.
"use strict";
(() => {
  // Okabe and Ito's colours, which colour-blind readers tell apart; black and yellow do not suit both grounds.
  const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C", "#A6761D"];
  const SYMBOLS = ["circle", "square", "triangle", "diamond", "cross", "star", "wye"];

  // A plot is one picture to a screen reader: its parts, which Plot labels "dot" or "line", say nothing there.
  const drawn = (options, label, description) => {
    const svg = Plot.plot({ ...options, ariaLabel: label, ariaDescription: description });
    svg.setAttribute("role", "img");
    for (const part of svg.querySelectorAll("g[aria-label]")) part.removeAttribute("aria-label");
    return svg;
  };
  // The sign of a legend; its text stands beside it.
  const sign = (width, marks) => {
    const svg = drawn({ width, height: 14, margin: 0, x: { axis: null, domain: [-1, 1] }, y: { axis: null, domain: [-1, 1] }, marks });
    svg.setAttribute("aria-hidden", "true");
    return svg;
  };
  const families = data => [...new Set(data.rows.map(row => row.family || "other"))].sort();

  const pareto = (data, number, valueOf, width) => {
    const table = data.tables[number];
    const share = data.metrics[table.primary]?.share ? 100 : 1;
    const domain = families(data);
    const points = data.rows
      .filter(row => row.table === number && row.rank != null)
      .map(row => {
        const gap = valueOf(row, data.gap), task = valueOf(row, table.primary);
        return gap && task && {
          row, x: gap[0], x1: gap[1] ?? gap[0], x2: gap[2] ?? gap[0],
          y: share * task[0], y1: share * (task[1] ?? task[0]), y2: share * (task[2] ?? task[0]), family: row.family || "other",
        };
      })
      .filter(Boolean);
    if (points.length < 2) return null;
    const front = points.filter(point => point.row.front).sort((one, other) => one.x - other.x);
    const base = points.filter(point => point.row.aligner === "identity");
    const say = point => `${point.row.aligner}\n${table.primary} ${point.y.toFixed(share === 100 ? 1 : 3)}\n${data.gap} ${point.x.toFixed(3)}`;
    return drawn({
      width,
      height: Math.max(320, Math.min(440, 0.6 * width)),
      marginLeft: 50,
      marginRight: 30,
      grid: true,
      style: { fontSize: "12px", background: "none" },
      marginBottom: 45,
      x: { label: `${data.gap} (a smaller gap is to the left)`, labelAnchor: "center", labelArrow: "none", nice: true },
      y: { label: `↑ ${table.primary}${share === 100 ? " %" : ""}`, nice: true },
      color: { domain, range: domain.map((_, i) => COLORS[i % COLORS.length]) },
      symbol: { domain, range: domain.map((_, i) => SYMBOLS[i % SYMBOLS.length]) },
      marks: [
        Plot.line(front, { x: "x", y: "y", stroke: "currentColor", strokeOpacity: 0.6, strokeDasharray: "2,4" }),
        Plot.link(points, { x1: "x1", x2: "x2", y1: "y", y2: "y", stroke: "family", strokeOpacity: 0.6 }),
        Plot.link(points, { x1: "x", x2: "x", y1: "y1", y2: "y2", stroke: "family", strokeOpacity: 0.6 }),
        Plot.dot(points, { x: "x", y: "y", stroke: "family", fill: "family", symbol: "family", r: 4.5, title: say, tip: true }),
        Plot.text(base, { x: "x", y: "y", text: point => point.row.aligner, dy: -11, fill: "currentColor", stroke: "var(--ground)", strokeWidth: 4, paintOrder: "stroke" }),
      ],
    }, `${table.primary} against ${data.gap}, ${points.length} aligners`, "The same numbers stand in the table of results.");
  };
  const frontOf = (data, number) => data.rows.filter(row => row.table === number && row.front).map(row => row.aligner).join(", ");

  const legend = (data, numbers) => {
    const domain = families(data);
    const used = new Set(data.rows.filter(row => numbers.includes(row.table) && row.rank != null).map(row => row.family || "other"));
    const box = document.createElement("div");
    box.className = "legend";
    domain.forEach((family, i) => {
      if (!used.has(family)) return;
      const color = COLORS[i % COLORS.length];
      const mark = sign(14, [Plot.dot([0], { x: 0, y: 0, r: 4.5, symbol: SYMBOLS[i % SYMBOLS.length], fill: color, stroke: color })]);
      const item = document.createElement("span");
      item.append(mark, family);
      box.append(item);
    });
    return box;
  };

  // Aligners of curves; identity does not fit, and is the dashed line.
  const namesOf = curves => ["identity", ...Object.keys({ ...curves.task, ...curves.gap }).filter(name => name !== "identity")];
  const curve = (data, curves, kind, width) => {
    const metric = kind === "task" ? curves.primary : data.gap;
    const share = data.metrics[metric]?.share ? 100 : 1;
    const names = namesOf(curves);
    const points = Object.entries(curves[kind]).flatMap(([name, line]) => line.map(point => ({ name, size: point.size, y: share * point.mean, low: share * (point.mean - point.spread), high: share * (point.mean + point.spread) })));
    const others = points.filter(point => point.name !== "identity"), base = points.filter(point => point.name === "identity");
    return drawn({
      width,
      height: 280,
      marginLeft: 50,
      grid: true,
      style: { fontSize: "12px", background: "none" },
      marginBottom: 45,
      x: { type: "log", label: "images fitted on", labelAnchor: "center", labelArrow: "none", ticks: [...new Set(points.map(point => point.size))], tickFormat: String },
      y: { label: `↑ ${metric}${share === 100 ? " %" : ""}` },
      color: { domain: names, range: names.map((_, i) => (i ? COLORS[(i - 1) % COLORS.length] : "currentColor")) },
      symbol: { domain: names, range: names.map((_, i) => SYMBOLS[i % SYMBOLS.length]) },
      marks: [
        Plot.areaY(others, { x: "size", y1: "low", y2: "high", fill: "name", fillOpacity: 0.15 }),
        Plot.line(base, { x: "size", y: "y", stroke: "currentColor", strokeDasharray: "5,4" }),
        Plot.line(others, { x: "size", y: "y", stroke: "name" }),
        Plot.dot(others, { x: "size", y: "y", stroke: "name", fill: "name", symbol: "name", r: 3.5, title: point => `${point.name}\n${metric} ${point.y.toFixed(share === 100 ? 1 : 3)}\n${point.size} images`, tip: true }),
      ],
    }, `${metric} against the number of images fitted on, ${names.length} aligners`, "The same numbers stand in the table of results.");
  };

  const curveLegend = names => {
    const box = document.createElement("div");
    box.className = "legend";
    names.forEach((name, i) => {
      const color = i ? COLORS[(i - 1) % COLORS.length] : "currentColor";
      const line = Plot.link([0], { x1: -1, x2: 1, y1: 0, y2: 0, stroke: color, strokeDasharray: i ? null : "5,4" });
      const mark = sign(22, [line, i ? Plot.dot([0], { x: 0, y: 0, r: 3.5, symbol: SYMBOLS[i % SYMBOLS.length], fill: color, stroke: color }) : null]);
      const item = document.createElement("span");
      item.append(mark, name);
      box.append(item);
    });
    return box;
  };

  const framed = (title, ...nodes) => {
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    caption.textContent = title;
    figure.append(...nodes.filter(Boolean), caption);
    return figure;
  };

  const MOST = 6;  // panels at once; a filter shows the others
  window.gapbenchPlots = (data, which, valueOf) => {
    const place = document.getElementById("pareto"), panels = [];
    for (const number of which.slice(0, MOST)) {
      const plot = pareto(data, number, valueOf, Math.min(860, place.clientWidth || 860));
      const { encoder, dataset, prompts, protocol } = data.tables[number];
      if (plot) panels.push(framed(`${encoder} / ${dataset} / ${prompts}, ${protocol}. On the Pareto front: ${frontOf(data, number)}`, legend(data, [number]), plot));
    }
    if (which.length > MOST) panels.push(framed(`The first ${MOST} of ${which.length} tables; the filters choose others.`));
    place.replaceChildren(...panels);

    const titles = new Set(which.map(number => { const t = data.tables[number]; return `${t.encoder} / ${t.dataset} / ${t.prompts}`; }));
    const box = document.getElementById("curves");
    const found = (data.curves ?? []).filter(curves => titles.has(curves.title)).slice(0, MOST);
    box.replaceChildren(...found.flatMap(curves => ["task", "gap"].map(kind => {
      return framed(`Learning curves, ${curves.title}, ${curves.protocol}: ${kind === "task" ? curves.primary : data.gap}; bands: one standard deviation over seeds`, curveLegend(namesOf(curves)), curve(data, curves, kind, 480));
    })));
  };
})();
