"use strict";
// Draws the charts from the compressed data, links them with the table, and follows the theme.
(async () => {
  const find = (selector) => document.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const root = document.documentElement;

  // ------------------------------------------------------------------------------------------------------ the table

  const table = find("#table");
  const rows = table ? [...table.tBodies[0].rows] : [];
  const texts = new Map(rows.map((row) => [row, rowText(row)]));
  const hidden = new Set(); // outcomes that are switched off
  let brushed = null; // numbers of the trials that the parallel coordinates select; null: all
  let selected = null; // number of the trial that a click selected

  function rowText(row) { // with name=value of each hyperparameter
    const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    return [...row.cells].map((cell, i) => `${cell.textContent} ${names[i]}=${cell.textContent}`).join(" ").toLowerCase();
  }

  function keyOf(row, column) {
    const cell = row.cells[column];
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = cell.textContent.trim();
    return text === "–" ? null : text.toLowerCase();
  }

  function sort(column) {
    const heads = [...table.tHead.rows[0].cells];
    const down = heads[column].getAttribute("aria-sort") === "ascending";
    const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
    const keyed = rows.map((row) => [keyOf(row, column), row]);
    keyed.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : (down ? -1 : 1) * compare(a, b)));
    heads.forEach((head, i) => head.hasAttribute("aria-sort") && head.setAttribute("aria-sort", i !== column ? "none" : down ? "descending" : "ascending"));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  }

  function filter() {
    if (!table) return;
    const words = find("#filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const shown = !hidden.has(row.dataset.o) && (!brushed || brushed.has(Number(row.dataset.n)))
        && words.every((word) => texts.get(row).includes(word));
      row.hidden = !shown;
      count += shown;
    }
    find("#shown").textContent = count === rows.length ? `${count} trials` : `${count} of ${rows.length} trials`;
    find("#clear").hidden = count === rows.length;
  }

  if (table) {
    [...table.tHead.rows[0].cells].forEach((head, i) => head.querySelector("button")?.addEventListener("click", () => sort(i)));
    table.tBodies[0].addEventListener("click", (event) => {
      if (event.target.closest("th button")) select(Number(event.target.closest("tr").dataset.n));
    });
    find("#filter").addEventListener("input", filter);
    find("#clear").addEventListener("click", () => {
      find("#filter").value = "";
      brushed = null;
      hidden.clear();
      all(".outcome").forEach((button) => button.setAttribute("aria-pressed", "true"));
      filter();
      redraw(true);
    });
  }

  // ---------------------------------------------------------------------------------------------- data and JavaScript

  const theme = window.matchMedia("(prefers-color-scheme: dark)");
  let printing = false;
  const isDark = () => !printing && (root.dataset.theme || (theme.matches ? "dark" : "light")) === "dark";
  let data = null;
  const drawn = new Map(); // id -> element

  async function unpack(id) {
    const bytes = Uint8Array.from(atob(find(id).textContent.trim()), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  // ---------------------------------------------------------------------------------------------------------- figures

  const metricNow = () => find("#metric").value;
  const checked = (id) => find(id).checked;
  const axisNow = () => find("input[name=axis]:checked").value;
  const hover = (numbers) => numbers.map((n) => data.hovers[n] ?? "");

  function curves() {
    const metric = metricNow(), axis = axisNow(), groups = new Map(), ends = new Map();
    const extra = [], { winner } = data.curves;
    const group = (map, outcome) => {
      if (!map.has(outcome)) map.set(outcome, { x: [], y: [], n: [] });
      return map.get(outcome);
    };
    const add = (to, x, y, n) => { to.x.push(x); to.y.push(y); to.n.push(n); };
    const walk = (trial, values, to) => { // null: not measured there; false: not a number
      let last = null;
      values.forEach((value, i) => {
        if (value === null) return;
        add(to, trial[axis][i], value === false ? null : value, trial.n);
        if (value !== false) last = [trial[axis][i], value];
      });
      if (to.x.length) add(to, null, null, trial.n);
      return last;
    };
    const emphasised = (trial, colour, name) => {
      const to = { x: [], y: [], n: [] };
      walk(trial, trial.values[metric], to);
      extra.push(line(name, to, colour, "solid", 3.2, 1));
      const { peak } = trial, value = peak?.values[metric]; // the end of a cool-down lies beside the curve
      if (typeof value === "number") extra.push(dots(name, [peak[axis]], [value], [trial.n], colour, "star", 14));
    };
    const best = { x: [], y: [], n: [] }, branches = { x: [], y: [], n: [] }, training = new Map();
    for (const trial of data.curves.trials) {
      const again = trial.of !== null;
      if (again && !checked("#repeats")) continue;
      const outcome = again ? "repeat" : trial.outcome;
      if (hidden.has(trial.outcome)) continue;
      const last = walk(trial, trial.values[metric], group(groups, outcome));
      if (last) add(group(ends, outcome), ...last, trial.n);
      if (checked("#training") && !again) walk(trial, trial.training, group(training, outcome));
      if (trial.outcome === "overfit" && trial.best != null && typeof trial.values[metric][trial.best] === "number") {
        add(best, trial[axis][trial.best], trial.values[metric][trial.best], trial.n);
      }
      for (const branch of trial.branches ?? []) {
        const [from, to] = branch.values[metric];
        if (typeof from === "number" && typeof to === "number") {
          add(branches, branch[axis][0], from, trial.n);
          add(branches, branch[axis][1], to, trial.n);
          add(branches, null, null, trial.n);
        }
      }
    }
    const alpha = Math.max(0.35, Math.min(0.9, 20 / data.curves.trials.length));
    const traces = [];
    for (const [outcome, to] of training) traces.push(line(`${outcome}, training`, to, "#9fb0c3", "dot", 1, 0.7));
    for (const [outcome, to] of groups) {
      const mark = data.marks[outcome] ?? { colour: data.winner, dash: "dash", symbol: "circle-open" };
      traces.push(line(outcome, to, mark.colour, mark.dash, 1.4, alpha));
      const end = ends.get(outcome);
      if (end) traces.push(dots(outcome, end.x, end.y, end.n, mark.colour, mark.symbol, 6));
    }
    if (best.x.length) traces.push(dots("before overfitting", best.x, best.y, best.n, data.marks.overfit.colour, "diamond", 10));
    if (branches.x.length) traces.push(line("cool-down", branches, data.winner, "dot", 2, 1));
    const named = (n) => data.curves.trials.find((trial) => trial.n === n);
    if (named(winner) && !hidden.has(named(winner).outcome)) emphasised(named(winner), data.winner, "winner");
    if (selected !== null && selected !== winner && named(selected)) emphasised(named(selected), "#d0226f", "selected");
    const template = `%{text}<br><i>${axis} %{x:.3~s}, ${escaped(metric)} %{y:.4~g}</i><extra></extra>`;
    for (const trace of [...traces, ...extra]) trace.hovertemplate = template;
    const [low, high] = data.curves.ranges[metric];
    const yaxis = { title: { text: escaped(metric) }, type: checked("#logy") ? "log" : "linear", tickformat: ".4~g" };
    if (yaxis.type === "linear") yaxis.range = [low, high];
    else yaxis.dtick = high / Math.max(low, high / 1e6) < 12 ? "D1" : "D2";
    const xaxis = { title: { text: axis === "progress" ? "progress of each trial's own training" : axis === "epoch" ? "epochs" : "tokens seen" }, type: checked("#logx") ? "log" : "linear" };
    if (axis === "progress") xaxis.tickformat = ".0%";
    if (xaxis.type === "linear") xaxis.rangemode = "tozero";
    return { data: [...traces, ...extra], layout: { height: 440, xaxis, yaxis, showlegend: false } };
  }

  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const line = (name, to, colour, dash, width, opacity) => ({
    type: "scatter", mode: "lines", name, x: to.x, y: to.y, customdata: to.n, text: hover(to.n), opacity, line: { color: colour, dash, width }, connectgaps: false,
  });
  const dots = (name, x, y, n, colour, symbol, size) => ({
    type: "scatter", mode: "markers", name, x, y, customdata: n, text: hover(n), marker: { color: colour, symbol, size, line: { width: 1.4, color: colour } },
  });

  function stored(id) {
    const figure = structuredClone(data.charts[id]);
    const byTime = id === "history" && find("input[name=order]:checked").value === "1";
    for (const trace of [...figure.data]) {
      if (byTime && trace.meta) [trace.x, trace.y] = trace.meta;
      if (trace.type === "scatter" && trace.mode === "markers") {
        trace.text = hover(trace.customdata);
        trace.hovertemplate = "%{text}<extra></extra>";
        if (hidden.has(trace.name.replaceAll(" ", "_"))) trace.visible = false;
        const at = selected === null ? -1 : trace.customdata.indexOf(selected);
        if (at >= 0) figure.data.push(dots("selected", [trace.x[at]], [trace.y[at]], [selected], "#d0226f", "circle-open", 15));
      }
    }
    if (byTime) delete figure.layout.xaxis.dtick;
    if (byTime) figure.layout.xaxis.title.text = "hours since the study's start";
    return figure;
  }

  function themed(figure) {
    const css = getComputedStyle(root), colour = (name) => css.getPropertyValue(name).trim();
    if (isDark()) {
      figure = JSON.parse(JSON.stringify(figure).replace(/#[0-9a-f]{6}/g, (found) => data.dark[found] ?? found));
    }
    for (const trace of figure.data) { // better trials stand out from the page
      if (trace.type === "parcoords" && isDark()) trace.line.colorscale = [[0, "#ffe08a"], [0.5, "#8aa4bd"], [1, "#3f4c59"]];
    }
    const [ink, grid, paper, edge] = printing ? ["#1c2126", "#e8ebef", "#ffffff", "#dfe3e8"] : ["--ink", "--grid", "--paper", "--line"].map(colour);
    const axis = { gridcolor: grid, zeroline: false, linecolor: edge, showline: true, ticks: "outside", ticklen: 4, tickcolor: edge };
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
      font: { color: ink, size: 12, family: getComputedStyle(document.body).fontFamily },
      margin: { l: 62, r: 14, t: 14, b: 48 }, dragmode: window.matchMedia("(pointer: coarse)").matches ? false : "zoom",
      hoverlabel: { align: "left", bgcolor: paper, bordercolor: edge, font: { color: ink, size: 12 } },
      ...figure.layout,
    };
    for (const name of ["xaxis", "yaxis"]) layout[name] = { ...axis, ...(figure.layout[name] ?? {}) };
    return { data: figure.data, layout };
  }

  const hasWebGL = (() => { // parallel coordinates are drawn by it alone
    try {
      return Boolean(document.createElement("canvas").getContext("webgl"));
    } catch {
      return false;
    }
  })();

  function draw(element) {
    const id = element.dataset.chart;
    if (id === "parallel" && !hasWebGL) {
      element.textContent = "This browser has no WebGL, which draws this chart. The table of all trials has the same values.";
      element.style.minHeight = element.style.minWidth = "0";
      return;
    }
    const figure = themed(id === "curves" ? curves() : stored(id));
    if (printing) figure.layout.width = element.closest(".grid") ? 310 : 650; // of a page of A4 or Letter: the screen's is wider
    const isFirst = !drawn.has(id);
    drawn.set(id, element);
    const settings = { responsive: true, displaylogo: false, displayModeBar: (figure.layout.height ?? 440) >= 320 ? "hover" : false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
    Plotly.react(element, figure.data, figure.layout, settings);
    element.style.minHeight = "";
    if (!isFirst) return;
    element.on("plotly_click", ({ points }) => points[0].customdata !== undefined && select(Number(points[0].customdata)));
    if (id === "parallel") element.on("plotly_restyle", () => brush(element));
  }

  function brush(element) {
    const [trace] = element.data;
    const limits = trace.dimensions.map(({ constraintrange: range }) => (!range ? null : Array.isArray(range[0]) ? range : [range]));
    const inside = (i) => limits.every((ranges, d) => !ranges || ranges.some(([low, high]) => trace.dimensions[d].values[i] >= low && trace.dimensions[d].values[i] <= high));
    brushed = limits.some(Boolean) ? new Set(trace.customdata.filter((_, i) => inside(i))) : null;
    filter();
  }

  function redraw(anew = false) { // what is drawn already; `anew`: parallel coordinates too, which lose their selection
    for (const [id, element] of drawn) if (id !== "parallel" || anew) draw(element);
  }

  function select(n) {
    selected = selected === n ? null : n;
    const bar = find("#selected");
    bar.hidden = selected === null;
    rows.forEach((row) => row.classList.toggle("chosen", Number(row.dataset.n) === selected));
    if (selected !== null) {
      const plain = new DOMParser().parseFromString((data?.hovers[n] ?? `trial ${n}`).replaceAll("<br>", "; "), "text/html");
      bar.querySelector("span").textContent = plain.body.textContent;
      bar.querySelector("a").href = `#t${n}`;
    }
    redraw();
  }

  find("#selected button").addEventListener("click", () => select(selected));
  for (const button of all(".outcome")) {
    button.addEventListener("click", () => {
      const { outcome } = button.dataset, off = !hidden.has(outcome);
      if (off) hidden.add(outcome); else hidden.delete(outcome);
      button.setAttribute("aria-pressed", String(!off));
      filter();
      redraw();
    });
  }
  find("#theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("hpsearch-theme", root.dataset.theme); } catch { /* no storage: only this page */ }
    redraw(true);
  });
  theme.addEventListener("change", () => redraw(true));

  // ------------------------------------------------------------------------------------------------------------ begin

  try {
    data = JSON.parse(await unpack("#data"));
    const script = document.createElement("script");
    script.textContent = await unpack("#plotly");
    document.head.append(script);
  } catch (error) {
    const fault = find("#fault");
    fault.hidden = false;
    fault.textContent = `The charts cannot be drawn in this browser (${error.message}); it needs DecompressionStream, as all have since 2023.`;
    return;
  }
  find("#plotly").remove();
  const choice = find("#metric");
  if (choice) {
    choice.append(...data.curves.metrics.map((name) => new Option(name, name)));
    all("#curves .controls input, #curves .controls select").forEach((one) => one.addEventListener("change", () => draw(find("[data-chart=curves]"))));
  }
  all("input[name=order]").forEach((one) => one.addEventListener("change", () => draw(find("[data-chart=history]"))));
  const plots = all(".plot");
  find(".wide .plot")?.style.setProperty("--axes", `${95 * data.charts.parallel.data[0].dimensions.length + 130}px`);
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) {
        near.unobserve(target);
        draw(target);
      }
    }
  }, { rootMargin: "600px" });
  plots.forEach((plot) => near.observe(plot));
  window.addEventListener("beforeprint", () => {
    printing = true;
    all("details").forEach((one) => { one.open = true; });
    plots.forEach((plot) => { near.unobserve(plot); draw(plot); });
  });
  window.addEventListener("afterprint", () => { printing = false; redraw(true); });
  root.dataset.ready = "yes";
})();
