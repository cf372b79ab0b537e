// A problem of a policy leads to its line in the text.
(() => {
  "use strict";
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-line]");
    const field = document.getElementById("id_source");
    if (!button || !field) return;
    const lines = field.value.split("\n");
    const line = Math.min(Number(button.dataset.line), lines.length);
    const start = lines.slice(0, line - 1).reduce((length, text) => length + text.length + 1, 0);
    field.focus();
    field.setSelectionRange(start, start + lines[line - 1].length);
    const height = field.scrollHeight / lines.length;
    field.scrollTop = Math.max(0, (line - 1) * height - field.clientHeight / 2);
  });
})();
