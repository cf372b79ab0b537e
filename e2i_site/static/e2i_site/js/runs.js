// Runs chosen for a comparison stay chosen from page to page, for as long as the tab is open.
(() => {
  "use strict";
  const KEY = "e2i-picked-runs";
  const MOST = 10;
  function picked() {
    try { return JSON.parse(sessionStorage.getItem(KEY)) || []; } catch { return []; }
  }
  function keep(runs) {
    try { sessionStorage.setItem(KEY, JSON.stringify(runs)); } catch { /* for this page only */ }
  }
  const boxes = (form) => [...form.querySelectorAll("input[type=checkbox][name=runs]")];

  function show() {
    const form = document.querySelector("form[data-picks]");
    if (!form) return;
    const runs = picked();
    boxes(form).forEach((box) => { box.checked = runs.includes(box.value); });
    const count = document.querySelector("[data-compare-count]");
    count.hidden = !runs.length;
    count.textContent = runs.length;
  }

  document.addEventListener("change", (event) => {
    const box = event.target;
    if (!box.matches("form[data-picks] input[name=runs]")) return;
    const others = picked().filter((run) => run !== box.value);
    if (box.checked && others.length >= MOST) {
      window.e2i.toast(`At most ${MOST} runs can be compared.`, "warn");
    } else {
      keep(box.checked ? [...others, box.value] : others);
    }
    show();
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-picks]")) return;
    const here = new Set(boxes(form).map((box) => box.value));
    form.querySelectorAll("input[type=hidden][name=runs]").forEach((field) => field.remove());
    picked().filter((run) => !here.has(run)).forEach((run) => {
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: "runs", value: run });
      form.append(field);
    });
    keep([]);
  });

  document.addEventListener("htmx:afterSettle", show);
  window.addEventListener("pageshow", show);
})();
