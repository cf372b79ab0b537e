// What the pages add when scripts run: theme switch, copy, toasts, loading line, times.
(() => {
  "use strict";
  const root = document.documentElement;
  const store = {
    get(key) { try { return localStorage.getItem(key); } catch { return null; } },
    set(key, value) { try { value === null ? localStorage.removeItem(key) : localStorage.setItem(key, value); } catch { /* not kept */ } },
  };

  // Theme: system → light → dark → system
  const themes = ["system", "light", "dark"];
  const theme = () => store.get("e2i-theme") || "system";
  function showTheme(button) {
    const label = button.querySelector("[data-theme-label]");
    if (label) label.textContent = `Theme: ${theme()}`;
  }
  function switchTheme() {
    const next = themes[(themes.indexOf(theme()) + 1) % themes.length];
    store.set("e2i-theme", next === "system" ? null : next);
    if (next === "system") delete root.dataset.bsTheme;
    else root.dataset.bsTheme = next;
    document.querySelectorAll("[data-theme-switch]").forEach(showTheme);
    document.dispatchEvent(new CustomEvent("e2i:theme"));
  }

  // Toasts
  function toast(message, tone = "bad") {
    const list = document.getElementById("toasts");
    const model = document.getElementById("toast-model");
    if (!list || !model) return;
    const item = model.content.firstElementChild.cloneNode(true);
    item.dataset.tone = tone;
    item.querySelector("p").textContent = message;
    list.append(item);
    if (tone !== "bad") setTimeout(() => item.remove(), 8000);
  }

  async function copy(button) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.classList.add("done");
      say("Copied");
      setTimeout(() => button.classList.remove("done"), 1200);
    } catch {
      toast("The browser does not allow copying here.");
    }
  }
  function say(text) {
    const region = document.getElementById("announcer");
    if (region) region.textContent = text;
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-copy], [data-theme-switch], [data-dismiss], [data-opens], [data-closes]");
    if (!target) return;
    if (target.dataset.copy !== undefined) { event.preventDefault(); copy(target); }
    else if (target.dataset.themeSwitch !== undefined) switchTheme();
    else if (target.dataset.dismiss !== undefined) target.closest(".toast-item").remove();
    else if (target.dataset.opens) document.getElementById(target.dataset.opens).showModal();
    else target.closest("dialog").close();
  });

  // A form that was sent is not sent again by a second click.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    root.classList.add("loading");
    form.querySelectorAll("button[type=submit], button:not([type])").forEach((b) => b.setAttribute("aria-busy", "true"));
  });
  window.addEventListener("pageshow", () => {
    root.classList.remove("loading");
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
    document.querySelectorAll("button[aria-busy]").forEach((b) => b.removeAttribute("aria-busy"));
  });

  // A search has answered each letter; leaving its field is no new change.
  document.addEventListener("change", (event) => {
    if (event.target.matches(".e-filter input[type=search]")) event.stopPropagation();
  }, true);

  // htmx: loading line (not for polling), errors told
  let waiting = 0;
  const polls = (event) => (event.detail.elt.getAttribute("hx-trigger") || "").includes("every");
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (polls(event)) return;
    waiting += 1;
    root.classList.add("loading");
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (polls(event)) return;
    waiting = Math.max(0, waiting - 1);
    if (!waiting) root.classList.remove("loading");
  });
  document.addEventListener("htmx:responseError", (event) => {
    const reply = event.detail.xhr;
    if (polls(event) && reply.status >= 500) return;
    const told = reply.getResponseHeader("X-E2I-Message");
    toast(told ? decodeURIComponent(told) : `The server answered ${reply.status}. Reload the page and try again.`);
  });
  document.addEventListener("htmx:sendError", (event) => {
    if (!polls(event)) toast("The server does not answer. Check the connection and try again.");
  });

  // A live part is drawn anew every few seconds. Who is at a link or a button in it stays there, and what was unfolded stays so.
  const stops = "a[href], button, input, select, summary, [tabindex]";
  const nameOf = (element) => [element.tagName, element.getAttribute("href") ?? element.getAttribute("name") ?? element.getAttribute("aria-label") ?? element.textContent.trim()].join(" ");
  function placeIn(part, element, selector) {
    const name = nameOf(element);
    return [name, [...part.querySelectorAll(selector)].filter((each) => nameOf(each) === name).indexOf(element)];
  }
  function find(part, [name, index], selector) {
    return [...part.querySelectorAll(selector)].filter((each) => nameOf(each) === name)[index];
  }
  let left = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.target;
    if (!polls(event) || !part.id) return;
    const at = part.contains(document.activeElement) && document.activeElement !== part ? document.activeElement : null;
    left = {
      id: part.id,
      at: at && placeIn(part, at, stops),
      row: at?.closest(".at") != null,
      open: [...part.querySelectorAll("details[open] > summary")].map((summary) => placeIn(part, summary, "summary")),
    };
  });
  document.addEventListener("htmx:afterSwap", () => {
    const part = left && document.getElementById(left.id);
    if (part) {
      left.open.forEach((place) => find(part, place, "summary")?.parentElement.setAttribute("open", ""));
      const next = left.at && find(part, left.at, stops);
      if (next && document.activeElement === document.body) {
        next.focus({ preventScroll: true });
        if (left.row) next.closest("[data-list] > *")?.classList.add("at");
      }
    }
    left = null;
  });

  // Relative times stay true while the page is open.
  const units = [["day", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  function relative(seconds) {
    const ahead = seconds < 0;
    const size = Math.abs(seconds);
    if (size < 5) return "now";
    const [name, length] = units.find(([, unit]) => size >= unit);
    const count = Math.floor(size / length);
    const text = name === "day" ? `${count} ${count === 1 ? "day" : "days"}` : `${count} ${name}`;
    return ahead ? `in ${text}` : `${text} ago`;
  }
  function refreshTimes() {
    if (document.hidden) return;
    document.querySelectorAll("time[data-relative]").forEach((element) => {
      const seconds = (Date.now() - Date.parse(element.dateTime)) / 1000;
      if (Math.abs(seconds) < 30 * 86400) element.textContent = relative(seconds);
    });
  }
  setInterval(refreshTimes, 10000);

  // Plots are drawn only where there are some.
  const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content;
  let plots = null;
  function loadPlots() {
    if (!document.querySelector("[data-chart]")) return;
    if (!plots) {
      const style = document.createElement("link");
      style.rel = "stylesheet";
      style.href = meta("e2i-uplot-css");
      document.head.append(style);
      plots = [meta("e2i-uplot-js"), meta("e2i-charts-js")].reduce(
        (before, src) => before.then(() => new Promise((done, fail) => {
          const script = document.createElement("script");
          script.src = src;
          script.onload = done;
          script.onerror = fail;
          document.head.append(script);
        })), Promise.resolve());
    }
    plots.then(() => window.e2iCharts.draw()).catch(() => toast("The plots could not be loaded; their tables hold the same numbers."));
  }
  document.addEventListener("htmx:afterSettle", loadPlots);

  function start() {
    document.querySelectorAll("[data-theme-switch]").forEach(showTheme);
    document.querySelectorAll("#toasts .toast-item:not([data-tone=bad]):not([data-tone=warn])").forEach((item) => setTimeout(() => item.remove(), 8000));
    loadPlots();
  }
  window.e2i = { toast, say, store };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
