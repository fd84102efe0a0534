"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const options = {
    renderer: "svg",
    actions: false,
    tooltip: { theme: "custom" },
    ...(data.locale ? { formatLocale: data.locale } : {}),
  };

  /** Rows of packed columns: `{all: value}`, `{of: values, at: numbers}`, or a list. */
  function rowsOf(columns) {
    const names = Object.keys(columns);
    const length = Math.max(1, ...names.map(name => (columns[name].at || (Array.isArray(columns[name]) ? columns[name] : [])).length));
    return Array.from({ length }, (_, at) => {
      const row = {};
      for (const name of names) {
        const column = columns[name];
        row[name] = Array.isArray(column) ? column[at] : "at" in column ? column.of[column.at[at]] : column.all;
      }
      return row;
    });
  }

  function tableOf(rows, names) {
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const name of names) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name;
      head.append(cell);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const name of names) line.insertCell().textContent = row[name] ?? "";
    }
    return table;
  }

  /** What a click on the legend does, for those who do not click: a box for each series. */
  function boxesFor(view, fieldset) {
    let store;
    try { store = view.data("shown_store"); } catch { return; }
    const every = store.slice();
    if (every.length < 2) return;
    const name = tuple => JSON.stringify(tuple.values);
    const boxes = new Map();
    for (const tuple of every) {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = true;
      box.addEventListener("change", () => {
        const shown = every.filter(one => boxes.get(name(one)).checked);
        view.data("shown_store", shown).runAsync();
      });
      boxes.set(name(tuple), box);
      label.append(box, " ", String(tuple.values[0]));
      fieldset.append(label);
    }
    view.addDataListener("shown_store", (_, tuples) => {
      const shown = new Set(tuples.map(name));
      for (const [key, box] of boxes) box.checked = shown.has(key);
    });
    fieldset.hidden = false;
  }

  async function draw(figure) {
    const chart = data.charts[figure.dataset.chart];
    const rows = rowsOf(chart.columns);
    const spec = { ...chart.spec, datasets: { ...chart.datasets, rows } };
    const { view } = await vegaEmbed(figure.querySelector(".canvas"), spec, options);
    const details = figure.querySelector(".numbers");
    boxesFor(view, details.querySelector("fieldset"));
    details.addEventListener("toggle", () => {
      const place = details.querySelector(".wide");
      if (details.open && !place.firstChild) place.append(tableOf(rows, Object.keys(chart.columns)));
    });
    figure.dataset.drawn = "yes";
  }

  async function drawTrial(details) {
    if (details.dataset.drawn) return;
    details.dataset.drawn = "begun";
    const trial = data.trials[details.dataset.trial];
    const place = details.querySelector(".curves");
    for (const shape of data.templates) {
      const table = trial[shape.table];
      if (!table.epoch || (shape.parameter && shape.parameter !== trial.parameter)) continue;
      const columns = Object.keys(table).filter(name => name !== "epoch" && (!shape.series || name in shape.series));
      if (!columns.length) continue;
      const named = column => (shape.series ? shape.series[column] : column);
      const rows = columns.flatMap(column =>
        table.epoch.map((epoch, at) => ({ epoch, series: named(column), value: table[column][at] })));
      const log = shape.table === "gradients";
      const drawn = rows.filter(row => row.value !== null && (!log || row.value > 0));
      if (!drawn.length) continue;
      const spec = structuredClone(shape.spec);
      spec.encoding.color.scale = { domain: columns.map(named), range: shape.colours[columns.length] };
      if (spec.encoding.strokeDash) {
        const scale = spec.encoding.strokeDash.scale;
        scale.range = columns.map(column => scale.range[scale.domain.indexOf(named(column))]);
        scale.domain = columns.map(named);
      }
      spec.datasets = { rows: drawn };
      const canvas = document.createElement("div");
      place.append(canvas);
      await vegaEmbed(canvas, spec, options);
    }
    details.dataset.drawn = "yes";
  }

  const trials = [...document.querySelectorAll("details.trial")];
  for (const details of trials) details.addEventListener("toggle", () => details.open && drawTrial(details).catch(console.error));

  /** A page that renews itself comes back as it was left. */
  const key = `dlx ${location.pathname}`;
  function restore() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(key));
      if (kept) {
        for (const id of kept.open) if (document.getElementById(id)) document.getElementById(id).open = true;
        scrollTo(0, kept.scroll);
      }
    } catch { /* a browser that keeps nothing starts at the top */ }
  }
  function renew() {
    setInterval(() => {
      if (document.visibilityState !== "visible") return;
      const open = trials.filter(details => details.open).map(details => details.id);
      try { sessionStorage.setItem(key, JSON.stringify({ open, scroll: scrollY })); } catch { /* as above */ }
      location.reload();
    }, 1000 * data.refresh);
  }

  (async () => {
    for (const figure of document.querySelectorAll("figure.chart")) await draw(figure);
    if (data.refresh) restore();
    document.body.dataset.drawn = "yes";
    if (data.refresh) renew();
  })().catch(console.error);
})();
