// Time series with uPlot. Data come from data-chart (htmx drops scripts of any type); the table stays.
(() => {
  "use strict";
  const colour = (name) => {
    // Resolve light-dark() by asking the browser for a computed colour.
    const probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
    probe.style.color = `var(${name})`;
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  };
  const dashes = [[], [6, 3], [2, 3], [8, 3, 2, 3], [1, 2]];
  const drawn = new Map();

  function limitLines(limits, tone) {
    return (plot) => {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.font = `${11 * devicePixelRatio}px Inter, sans-serif`;
      ctx.fillStyle = ctx.strokeStyle = tone;
      ctx.lineWidth = devicePixelRatio;
      ctx.textAlign = "left";
      ctx.textBaseline = "alphabetic";
      ctx.setLineDash([5 * devicePixelRatio, 3 * devicePixelRatio]);
      for (const limit of limits) {
        const y = plot.valToPos(limit.value, "y", true);
        if (y < bbox.top || y > bbox.top + bbox.height) continue;
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
        ctx.fillText(limit.label, bbox.left + 4 * devicePixelRatio, y - 4 * devicePixelRatio);
      }
      ctx.restore();
    };
  }
  function markLines(marks, tone) {
    return (plot) => {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.font = `${11 * devicePixelRatio}px Inter, sans-serif`;
      ctx.fillStyle = ctx.strokeStyle = tone;
      ctx.lineWidth = devicePixelRatio;
      ctx.textBaseline = "alphabetic";
      for (const mark of marks) {
        const x = plot.valToPos(mark.x, "x", true);
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        const right = x > bbox.left + bbox.width * 0.8;
        ctx.textAlign = right ? "right" : "left";
        ctx.fillText(mark.label, x + (right ? -4 : 4) * devicePixelRatio, bbox.top + bbox.height - 5 * devicePixelRatio);
      }
      ctx.restore();
    };
  }

  // A value without a neighbour makes no line: it gets a point.
  const lonely = (values) => values.flatMap((value, at) => (value != null && values[at - 1] == null && values[at + 1] == null ? [at] : []));
  const clock = (seconds, step) => {
    const text = new Date(seconds * 1000).toISOString();
    if (step >= 86400) return text.slice(5, 10);
    return text.slice(11, step < 60 ? 19 : 16) === "00:00" ? text.slice(5, 10) : text.slice(11, step < 60 ? 19 : 16);
  };

  function options(data, width, height) {
    const line = colour("--line");
    const text = colour("--muted");
    const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "11px Inter, sans-serif" };
    // Trials and the like are counted: no ticks between whole numbers.
    const whole = !data.time && data.x.every(Number.isInteger) ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] } : {};
    const step = data.step ? uPlot.paths.stepped({ align: 1 }) : undefined;
    const values = data.limits.map((limit) => limit.value);
    return {
      width, height,
      legend: { live: true },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { points: { size: 6 } },
      scales: {
        x: { time: data.time },
        y: { distr: data.log ? 3 : 1, range: (_, low, high) => {
          const all = [low, high, ...values].filter((v) => v !== null && Number.isFinite(v));
          if (!all.length) return [0, 1];
          const top = Math.max(...all), bottom = Math.min(...all);
          if (data.log) return [10 ** Math.floor(Math.log10(bottom)), top * 1.4];
          const room = (top - bottom || Math.abs(top) || 1) * 0.08;
          return [bottom >= 0 ? Math.max(0, bottom - room) : bottom - room, top + room];
        } },
      },
      axes: [
        { ...axis, ...whole, values: data.time ? (_, ticks, __, ___, step) => ticks.map((tick) => clock(tick, step)) : undefined, label: data.x_label || undefined, labelSize: 20, labelFont: "11px Inter, sans-serif" },
        { ...axis, size: 58, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : `${+tick.toPrecision(6)}${data.unit ? ` ${data.unit}` : ""}`)) },
      ],
      series: [
        {
          label: data.x_label || (data.time ? "UTC" : "x"),
          value: data.time ? (_, seconds) => (seconds === null || seconds === undefined ? "–" : new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ")) : undefined,
        },
        ...data.series.map((series, index) => ({
          label: series.label,
          stroke: colour(`--series-${(index % 5) + 1}`),
          width: 2,
          dash: dashes[index % dashes.length],
          paths: step,
          spanGaps: false,
          points: { show: series.values.length <= 40, size: 5, filter: (_, __, show) => (show ? null : lonely(series.values)) },
          value: (_, value) => (value === null || value === undefined ? "–" : `${+value.toPrecision(5)}${data.unit ? ` ${data.unit}` : ""}`),
        })),
      ],
      hooks: { draw: [limitLines(data.limits, colour("--bad")), markLines(data.marks, colour("--muted"))] },
    };
  }

  function render(element) {
    const data = JSON.parse(element.dataset.chart);
    const height = element.classList.contains("low") ? 130 : 220;
    drawn.get(element)?.destroy();
    element.replaceChildren();
    const columns = [data.x, ...data.series.map((series) => series.values)];
    drawn.set(element, new uPlot(options(data, element.clientWidth || 400, height), columns, element));
  }
  const resize = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const plot = drawn.get(target);
      if (plot && target.clientWidth && plot.width !== target.clientWidth) plot.setSize({ width: target.clientWidth, height: plot.height });
    }
  });

  window.e2iCharts = {
    draw(again = false) {
      for (const [element, plot] of drawn) {
        if (!element.isConnected) { plot.destroy(); drawn.delete(element); }
      }
      document.querySelectorAll("[data-chart]").forEach((element) => {
        if (drawn.has(element) && !again) return;
        render(element);
        resize.observe(element);
      });
    },
  };
  document.addEventListener("e2i:theme", () => window.e2iCharts.draw(true));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => window.e2iCharts.draw(true));
})();
