"use strict";
(() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // --- hover details, and a bar lit together with its row ---
  const tip = document.getElementById("tip");
  const place = (x, y) => {
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - box.width - 8))}px`;
    tip.style.top = `${y + 18 + box.height > innerHeight ? Math.max(4, y - box.height - 12) : y + 18}px`;
  };
  const light = (element, lit) => {
    const { index } = element.dataset;
    const anomaly = element.closest(".anomaly");
    if (index === undefined || !anomaly) return;
    for (const twin of anomaly.querySelectorAll(`[data-index="${index}"]`)) twin.classList.toggle("lit", lit);
  };
  const hide = (element) => { tip.hidden = true; light(element, false); };
  for (const element of document.querySelectorAll("[data-tip]")) {
    const show = (x, y) => {
      tip.textContent = element.dataset.tip;
      tip.hidden = false;
      place(x, y);
      light(element, true);
    };
    element.addEventListener("mouseenter", (event) => show(event.clientX, event.clientY));
    element.addEventListener("mousemove", (event) => place(event.clientX, event.clientY));
    element.addEventListener("mouseleave", () => hide(element));
    element.addEventListener("focus", () => {
      const box = element.getBoundingClientRect();
      show(box.left, box.bottom);
    });
    element.addEventListener("blur", () => hide(element));
  }
  for (const row of document.querySelectorAll(".witness tr[data-index]")) {
    row.addEventListener("mouseenter", () => light(row, true));
    row.addEventListener("mouseleave", () => light(row, false));
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  // --- a timeline wider than its frame begins at its end, where no order can go on ---
  const toEnd = () => {
    for (const frame of document.querySelectorAll(".timeline .scroll")) {
      const bars = frame.querySelectorAll(".operation");
      const last = bars[bars.length - 1].querySelector(".bar").getBoundingClientRect();
      const left = last.left - frame.getBoundingClientRect().left + frame.scrollLeft;
      frame.scrollLeft = Math.min(left - 8, left + last.width + 24 - frame.clientWidth);
      frame.parentElement.classList.toggle("wide", frame.scrollWidth > frame.clientWidth);
    }
  };
  toEnd();
  for (const element of document.querySelectorAll("details.anomaly")) element.addEventListener("toggle", toEnd, { once: true });

  // --- copy button ---
  const selectAndCopy = (source) => {
    const selection = getSelection();
    selection.selectAllChildren(source);
    const done = document.execCommand("copy");
    selection.removeAllRanges();
    return done;
  };
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copies);
      let done = true;
      try {
        await navigator.clipboard.writeText(source.textContent);
      } catch {
        done = selectAndCopy(source);
      }
      button.textContent = done ? "Copied" : "Select and copy by hand";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  // --- charts ---
  const chart = document.getElementById("chart");
  if (!chart) return;
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const symbols = { ok: "circle", fail: "x", info: "triangle-up-open" };
  const dashes = { p50: "solid", p95: "dash", p99: "dot", ok: "solid", fail: "dash", info: "dot" };
  const rateColours = { ok: "--valid", fail: "--invalid", info: "--unknown" };

  const dense = data.shown > 2000;
  const points = (series) => ({
    type: "scatter", mode: "markers", name: series.name, x: series.x, y: series.y,
    customdata: series.index.map((index, row) => [index, series.process[row]]),
    hovertemplate: "%{y:.4~g} ms at %{x:.4f} s<br>process %{customdata[1]}, index %{customdata[0]}<extra>%{fullData.name}</extra>",
    marker: {
      symbol: symbols[series.outcome], color: colour(`--f${series.function % 6}`),
      size: (dense ? 3.5 : 5) + (series.outcome === "ok" ? 0 : 1.5),
      opacity: (dense ? 0.35 : 0.75) + (series.outcome === "ok" ? 0 : 0.2),
    },
  });
  const quantile = ([name, values]) => ({
    type: "scatter", mode: data.middles.length > 1 ? "lines" : "markers", name, x: data.middles, y: values, connectgaps: false,
    line: { color: colour("--text"), width: name === "p50" ? 2 : 1.5, dash: dashes[name] },
    hovertemplate: `${name} %{y:.4~g} ms<extra></extra>`,
  });
  const rate = ([name, values]) => ({
    type: "scatter", mode: data.middles.length > 1 ? "lines" : "markers", name: `${name} a second`, x: data.middles, y: values, yaxis: "y2",
    line: { color: colour(rateColours[name]), width: 2, dash: dashes[name] },
    hovertemplate: `%{y:.4~g} ${name} a second<extra></extra>`,
  });
  const end = Math.max(data.end, 1e-6);
  const shades = () => data.faults.map((fault) => ({
    type: "rect", xref: "x", yref: "paper", x0: fault.start, x1: fault.end ?? end, y0: 0, y1: 1, layer: "below",
    fillcolor: colour(`--fault${fault.colour}`), opacity: 0.14, line: { width: 0 },
  }));
  // The full name where the shaded width has room for it, else its number in the table of faults.
  const names = (width) => {
    let free = -Infinity;
    return data.faults.flatMap((fault) => {
      const scale = width / end;
      const left = fault.start * scale;
      const room = ((fault.end ?? end) - fault.start) * scale;
      const text = fault.label.length * 7 <= room ? fault.label : fault.short;
      if (left < free) return [];
      free = left + text.length * 7 + 6;
      return [{
        text, showarrow: false, x: fault.start, xref: "x", xanchor: "left", y: 1, yref: "paper", yanchor: "bottom",
        font: { size: 11, color: colour(`--fault${fault.colour}`) },
      }];
    });
  };
  const layout = () => {
    const narrow = chart.clientWidth < 560;
    const line = { gridcolor: colour("--line"), linecolor: colour("--muted"), zeroline: false };
    const margin = { l: narrow ? 48 : 64, r: 12, t: 26, b: 48 };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin, hovermode: "closest",
      font: { family: "system-ui, sans-serif", size: 12, color: colour("--text") },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--muted"), activecolor: colour("--link") },
      hoverlabel: { bgcolor: colour("--surface"), font: { color: colour("--text") }, bordercolor: colour("--line") },
      legend: { orientation: "h", y: -0.12, yanchor: "top", x: 0, font: { size: 11 }, itemsizing: "constant" },
      xaxis: { ...line, anchor: "y2", range: [0, end * 1.01], title: { text: "time since the run began (s)" } },
      yaxis: { ...line, domain: [0.38, 1], type: "log", dtick: 1, title: { text: "latency (ms)" }, exponentformat: "none" },
      yaxis2: { ...line, domain: [0, 0.3], rangemode: "tozero", title: { text: narrow ? "ops/s" : "operations a second" } },
      shapes: shades(), annotations: names(chart.clientWidth - margin.l - margin.r),
    };
  };
  const draw = () => Plotly.react(
    chart,
    [...data.series.map(points), ...Object.entries(data.quantiles).map(quantile), ...Object.entries(data.rates).map(rate)],
    layout(),
    { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]] },
  );
  draw().then(() => { chart.dataset.ready = "true"; });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = chart.clientWidth;
  addEventListener("resize", () => {
    if ((width < 560) !== (chart.clientWidth < 560)) draw();
    else Plotly.relayout(chart, { annotations: layout().annotations });
    width = chart.clientWidth;
  });
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details.anomaly:not([open])")];
    for (const element of closed) element.open = true;
    draw();
  });
  addEventListener("afterprint", () => {
    for (const element of closed) element.open = false;
    draw();
  });
})();
