// Keyboard: ? help, g + letter goes, j/k move, Enter opens, / searches, and buttons with data-key.
(() => {
  "use strict";
  let leader = 0;
  const off = () => window.e2i.store.get("e2i-keys") === "off";
  // Letters mean nothing to a choice or a box to tick.
  const typing = (target) => target.closest("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]") !== null;

  function rows() {
    return [...document.querySelectorAll("[data-list]")].flatMap((list) => [...list.children])
      .filter((row) => row.querySelector("a[href]") && row.checkVisibility());
  }
  function move(step) {
    const all = rows();
    if (!all.length) return;
    const from = all.findIndex((row) => row.classList.contains("at"));
    const to = Math.max(0, Math.min(all.length - 1, from === -1 ? (step > 0 ? 0 : all.length - 1) : from + step));
    if (from !== -1) all[from].classList.remove("at");
    all[to].classList.add("at");
    const link = all[to].querySelector("a[data-open]") || all[to].querySelector("a[href]");
    link.focus({ preventScroll: true });
    all[to].scrollIntoView({ block: "nearest" });
  }
  function go(letter) {
    const link = document.querySelector(`[data-go="${CSS.escape(letter)}"]`);
    if (link) link.click();
  }
  function press(letter) {
    const button = document.querySelector(`main [data-key="${CSS.escape(letter)}"]`);
    if (!button) return false;
    button.focus();
    if (!button.disabled) button.click();
    // A choice may lead on to the field that it needs.
    document.getElementById(button.dataset.then || "")?.focus();
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || off()) return;
    if (typing(event.target)) {
      if (event.key === "Escape" && !event.target.closest("dialog")) event.target.blur();
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    if (leader && Date.now() - leader < 1200) {
      leader = 0;
      go(event.key);
      event.preventDefault();
      return;
    }
    const acts = {
      "?": () => document.getElementById("keys").showModal(),
      "/": () => document.querySelector("main input[type=search]")?.focus(),
      g: () => { leader = Date.now(); },
      j: () => move(1),
      k: () => move(-1),
    };
    if (event.key in acts) {
      acts[event.key]();
      event.preventDefault();
    } else if (/^[a-z]$/.test(event.key) && press(event.key)) {
      event.preventDefault();
    }
  });

  document.addEventListener("change", (event) => {
    if (event.target.id === "keys-off") window.e2i.store.set("e2i-keys", event.target.checked ? "off" : null);
  });
  document.addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("keys-off");
    if (box) box.checked = off();
  });
})();
