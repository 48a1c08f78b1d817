// The table: filters, bars, and rows that open to their record. Text of records is only ever set as text.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const rows = data.rows ?? [], tables = data.tables ?? [], metrics = data.metrics ?? {};
  const filters = document.getElementById("filters");
  const AXES = ["encoder", "dataset", "prompts", "protocol", "family"];

  const el = (name, attributes = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const tableOf = row => tables[row.table];
  const axis = (row, name) => (name === "family" ? row.family || "other" : tableOf(row)[name]);
  const valueOf = (row, metric) => (row.values ?? [])[tableOf(row).metrics.indexOf(metric)] ?? null;
  const task = row => tableOf(row).primary;
  const shown = (metric, x) => {
    const text = metrics[metric]?.share ? (100 * x).toFixed(1) : x.toFixed(3);
    return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
  };
  const unit = metric => (metrics[metric]?.share ? " %" : "");
  const signed = (metric, x) => {
    const text = shown(metric, Math.abs(x));
    return Number(text) === 0 ? text : (x > 0 ? "+" : "−") + text;
  };

  // The scale of a metric in a table spans its intervals; the base is the value of identity.
  const scales = new Map();
  const scaleOf = (row, metric) => {
    const key = `${row.table} ${metric}`;
    if (!scales.has(key)) {
      const mine = rows.filter(other => other.table === row.table && !other.control);
      const found = mine.map(other => valueOf(other, metric)).filter(Boolean);
      const ends = found.flatMap(v => [v[0], v[1] ?? v[0], v[2] ?? v[0]]);
      const base = mine.find(other => other.aligner === "identity" && !["stale", "reported"].includes(other.state));
      scales.set(key, { low: Math.min(...ends), high: Math.max(...ends), base: base && valueOf(base, metric)?.[0] });
    }
    return scales.get(key);
  };

  const bar = (row, metric, v) => {
    const { low, high, base } = scaleOf(row, metric);
    const place = x => `${Math.min(100, Math.max(0, high > low ? (100 * (x - low)) / (high - low) : 50))}%`;
    const node = el("span", { class: "bar", "aria-hidden": "true" });
    const part = (name, at, to) => {
      const piece = el("span", { class: name });
      piece.style.left = place(at);
      if (to !== undefined) piece.style.width = `calc(${place(to)} - ${place(at)})`;
      node.append(piece);
    };
    if (base !== undefined && base !== null) part("base", base);
    if (v[1] != null) part("range", v[1], v[2]);
    part("dot", v[0]);
    return node;
  };

  // A published number stands as it was published.
  const value = (row, metric, x) => (row.state === "reported" && metrics[metric]?.share ? String(Number((100 * x).toFixed(2))) : shown(metric, x));
  const number = (row, metric, named) => {
    const v = valueOf(row, metric);
    const cell = el("span", { class: "number" });
    if (!v) return cell;
    const interval = v[1] == null ? "" : ` [${shown(metric, v[1])}, ${shown(metric, v[2])}]`;
    cell.append(`${value(row, metric, v[0])}${unit(metric)}`, el("span", { class: "small secondary" }, interval));
    if (named) cell.append(" ", el("span", { class: "small task-name" }, metric));
    cell.append(bar(row, metric, v));
    return cell;
  };

  const change = (row, metric) => {
    const [, , , delta, p] = valueOf(row, metric) ?? [];
    if (delta == null) return el("span");
    const real = p != null && p < 0.05;
    const better = metrics[metric]?.better;
    const kind = !real || better === "neither" ? "" : delta > 0 === (better === "higher") ? "better" : "worse";
    return el("span", { class: `number ${kind}` }, signed(metric, delta) + (real ? "*" : ""));
  };

  const rank = row => {
    if (row.rank == null) return row.control ? ["control"] : [];
    const [low, high] = row.ranks ?? [row.rank, row.rank];
    return low === high ? [`${low}`] : [`${low}`, el("span", { class: "small secondary" }, `–${high}`)];
  };

  const name = row => {
    const node = el("span", {}, el("code", {}, row.aligner));
    for (const tag of [row.control && "control", row.state, row.front && "front"].filter(Boolean)) node.append(" ", el("span", { class: "tag" }, tag));
    return node;
  };

  const opener = row => {
    const button = el("button", { type: "button", class: "open", "aria-expanded": "false" }, "+");
    button.setAttribute("aria-label", `Record of ${row.aligner}, ${tableOf(row).dataset}, ${tableOf(row).prompts}, ${tableOf(row).protocol}`);
    return button;
  };

  // What a row opens to: all metrics, the command, the record.
  const details = row => {
    const table = tableOf(row);
    const node = el("div", { class: "details" });
    const told = [`${table.encoder} / ${table.dataset} / ${table.prompts}`, table.how].join(". ");
    node.append(el("div", {}, told));
    if (row.why) node.append(el("div", {}, row.why));
    const body = el("tbody");
    for (const metric of table.metrics) {
      const v = valueOf(row, metric);
      if (!v) continue;
      const p = v[4] == null ? "" : v[4] < 0.001 ? "< 0.001" : v[4].toFixed(3);
      const interval = v[1] == null ? "" : `${shown(metric, v[1])} to ${shown(metric, v[2])}`;
      const title = el("th", { scope: "row", title: metrics[metric]?.summary ?? "" }, `${metric}${unit(metric)}`);
      body.append(el("tr", {}, title, el("td", {}, value(row, metric, v[0]), bar(row, metric, v)), el("td", {}, interval), el("td", {}, change(row, metric)), el("td", {}, p)));
    }
    const heads = ["metric", "value", "95 %", "Δ", "p (Holm)"].map(text => el("th", { scope: "col" }, text));
    if (body.children.length) node.append(el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": `All metrics of ${row.aligner}` }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body)));
    if (row.command) node.append(command(row.command, row.state === "reported" ? "The study, which will set its own result beside this:" : "Made again by"));
    for (const record of row.records ?? []) node.append(recordOf(row, table, record));
    return node;
  };

  const command = (text, lead) => {
    const copy = el("button", { type: "button" }, "Copy");
    const code = el("code", {}, text);
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        copy.textContent = "Selected";
      }
    });
    return el("div", {}, lead, el("div", { class: "command" }, el("pre", {}, code), copy));
  };

  const recordOf = (row, table, record) => {
    const list = el("dl");
    const say = (term, text) => text && list.append(el("dt", {}, term), el("dd", {}, text));
    say("cell", record.cell_id);
    say("plugin", `${row.plugin} ${row.version ?? ""}`.trim());
    say("parameters", Object.entries(row.params ?? {}).map(([key, value]) => `${key}=${value}`).join(", "));
    say("encoder", table.fingerprints?.encoder);
    say("data", table.fingerprints?.dataset);
    say("outcomes", record.outcomes);
    say("made", record.created_utc);
    say("with", data.environments[record.environment]);
    const [encode, fit, score] = record.timing ?? [];
    if (fit != null) say("seconds", `encoding ${encode}, fitting ${fit}, scoring ${score}`);
    say("reason", record.reason);
    for (const [key, note] of Object.entries(record.notes ?? {})) say(key, typeof note === "object" ? JSON.stringify(note) : String(note));
    const first = record === row.records[0];
    return el("details", first ? { open: "" } : {}, el("summary", {}, `Record, seed ${record.seed}`), list);
  };

  // Filters. At first one table is shown, rows of one ranking; or all, where there are few.
  const FEW = 12;
  const options = axisName => [...new Set(rows.map(row => axis(row, axisName)))];
  const choices = Object.fromEntries(AXES.map(axisName => [axisName, options(axisName)]));
  for (const axisName of AXES) {
    const select = filters.elements[axisName];
    select.append(new Option("all", ""), ...choices[axisName].map(text => new Option(text, `=${text}`)));
    if (axisName !== "family" && rows.length > FEW) select.value = `=${axis(rows[0], axisName)}`;
  }
  const selectMetric = filters.elements.metric;
  selectMetric.append(...Object.keys(metrics).map(text => new Option(text, text)));
  if (data.gap in metrics) selectMetric.value = data.gap;
  const passes = row => AXES.every(axisName => !filters.elements[axisName].value || filters.elements[axisName].value === `=${axis(row, axisName)}`);

  const sortable = (row, metric, at = 0) => valueOf(row, metric)?.[at] ?? -Infinity;
  const column = (title, order, display, extra = {}) => ({
    title, type: typeof order(rows[0] ?? null) === "number" ? "num" : "string", data: null, ...extra,
    render: (_, kind, row) => (kind === "display" ? display(row) : kind === "sort" || kind === "type" ? order(row) : extra.search ? extra.search(row) : ""),
  });
  const text = (title, axisName, className) => column(title, row => row ? axis(row, axisName) : "", row => el("span", {}, axis(row, axisName)), { className, name: axisName, search: row => axis(row, axisName) });
  const beside = () => selectMetric.value;
  const table = new DataTable("#table", {
    data: rows,
    order: [],
    pageLength: 50,
    lengthMenu: [25, 50, 200],
    deferRender: true,
    autoWidth: false,
    layout: { topStart: "search", topEnd: "info", bottomStart: "pageLength", bottomEnd: "paging" },
    language: { search: "Search", info: "_TOTAL_ _ENTRIES-TOTAL_", infoEmpty: "no rows", infoFiltered: "of _MAX_", entries: { _: "rows", 1: "row" }, lengthMenu: "_MENU_ rows at once", emptyTable: "no results", zeroRecords: "no row fits" },
    columns: [
      column("Record", () => "", opener, { orderable: false }),
      column("Rank", row => row?.rank ?? Infinity, row => el("span", { class: "number" }, ...rank(row))),
      column("Aligner", row => row?.aligner ?? "", name, { search: row => row.aligner }),
      column("Task", row => (row ? sortable(row, task(row)) : 0), row => number(row, task(row), true), { name: "task", search: row => task(row) }),
      column("Δ", row => (row ? sortable(row, task(row), 3) : 0), row => change(row, task(row))),
      column("Gap", row => (row ? sortable(row, beside()) : 0), row => number(row, beside(), false), { name: "beside" }),
      text("Family", "family", "secondary"),
      text("Encoder", "encoder", "secondary"),
      text("Dataset", "dataset", "secondary"),
      text("Prompts", "prompts", "secondary"),
      text("Protocol", "protocol", "secondary"),
    ],
    createdRow: (tr, row) => tr.classList.toggle("below", row.rank == null && !row.control),
    drawCallback: ({ api }) => api.table().node().classList.toggle("in-order", api.order().length === 0),
  });
  table.search.fixed("filters", (_, row) => passes(row));

  document.getElementById("table").addEventListener("click", event => {
    const button = event.target.closest("button.open");
    if (!button) return;
    const row = table.row(button.closest("tr"));
    const open = !row.child.isShown();
    open ? row.child(details(row.data())).show() : row.child.hide();
    button.setAttribute("aria-expanded", String(open));
    button.textContent = open ? "−" : "+";
  });

  const head = (column, text) => { table.column(`${column}:name`).header().querySelector(".dt-column-title").textContent = text; };
  const refresh = () => {
    table.draw();
    const now = rows.filter(passes);
    const tasks = [...new Set(now.map(task))];
    head("task", tasks.length === 1 ? `Task (${tasks[0]})` : "Task");
    head("beside", beside() === data.gap ? `Gap (${data.gap})` : beside() ?? "");
    table.table().node().classList.toggle("one-task", tasks.length === 1);
    table.column("beside:name").visible(!(tasks.length === 1 && tasks[0] === beside()), false);
    const which = [...new Set(now.map(row => row.table))];
    // What is the same in all rows stands in the filters, or in the line above the table.
    for (const axisName of AXES) if (axisName !== "family") table.column(`${axisName}:name`).visible(new Set(now.map(row => axis(row, axisName))).size > 1, false);
    const several = which.length ? `Rows of ${which.length} tables; ranks count within each.` : "No row fits these filters; “Show all tables” clears them.";
    document.getElementById("which").textContent = which.length === 1 ? tables[which[0]].how : several;
    document.getElementById("notices").replaceChildren(...(which.length === 1 ? tables[which[0]].notices : []).map(line => el("li", {}, line)));
    window.gapbenchPlots(data, which, valueOf);
    const pictures = document.getElementById("pictures");
    pictures.hidden = !pictures.querySelector("figure");
  };
  filters.addEventListener("change", event => {
    if (event.target === selectMetric) table.rows().invalidate();
    refresh();
  });
  filters.addEventListener("submit", event => event.preventDefault());
  document.getElementById("everything").addEventListener("click", () => {
    for (const axisName of AXES) filters.elements[axisName].value = "";
    refresh();
  });

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = document.getElementById("theme");
  const paint = on => {
    document.documentElement.classList.toggle("dark", on);
    theme.textContent = on ? "Light" : "Dark";
    theme.setAttribute("aria-label", on ? "Light colours" : "Dark colours");
  };
  theme.hidden = false;
  theme.addEventListener("click", () => paint(!document.documentElement.classList.contains("dark")));
  dark.addEventListener("change", event => paint(event.matches));
  paint(dark.matches);

  const environments = document.getElementById("environments");
  environments.replaceChildren(...(data.environments ?? []).map(line => el("li", {}, line)));
  environments.previousElementSibling.hidden = !environments.children.length;
  refresh();
})();
