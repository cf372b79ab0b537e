// Loaded before the page is drawn, so that a chosen theme does not flash.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const choice = localStorage.getItem("e2i-theme");
    if (choice === "light" || choice === "dark") root.dataset.bsTheme = choice;
  } catch {
    // Storage is closed to us: the system's theme holds.
  }
})();
