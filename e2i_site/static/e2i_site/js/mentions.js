// Names complete themselves after an @ in a field with data-mentions.
(() => {
  "use strict";
  const typed = /(?:^|[^\w@.+-])@([\w.+-]{1,150})$/;
  let timer = 0;
  const listOf = (field) => document.getElementById(field.getAttribute("aria-controls"));
  const options = (field) => [...listOf(field).querySelectorAll("[role=option]")];
  const chosen = (field) => options(field).find((each) => each.getAttribute("aria-selected") === "true");
  const part = (field) => field.value.slice(0, field.selectionStart).match(typed)?.[1];

  function close(field) {
    clearTimeout(timer);
    listOf(field).replaceChildren();
    field.removeAttribute("aria-activedescendant");
  }
  function ask(field) {
    const name = part(field);
    if (!name) return;
    const address = `${field.dataset.mentions}?q=${encodeURIComponent(name)}`;
    window.htmx.ajax("GET", address, { target: listOf(field), swap: "innerHTML" })
      .then(() => { if (part(field) === name) mark(field, options(field)[0]); else close(field); });
  }
  function mark(field, option) {
    if (!option) return;
    options(field).forEach((each) => each.setAttribute("aria-selected", String(each === option)));
    field.setAttribute("aria-activedescendant", option.id);
  }
  function take(field, option) {
    const name = part(field);
    if (!name) return close(field);
    const from = field.selectionStart - name.length;
    field.setRangeText(`${option.dataset.name} `, from, field.selectionStart, "end");
    close(field);
    field.focus();
  }

  document.addEventListener("input", (event) => {
    const field = event.target;
    if (!field.matches("[data-mentions]")) return;
    close(field);
    if (part(field)) timer = setTimeout(() => ask(field), 150);
  });
  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (!field.matches("[data-mentions]") || !options(field).length) return;
    const all = options(field);
    const place = all.indexOf(chosen(field));
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) mark(field, all[(place + step + all.length) % all.length]);
    else if ((event.key === "Enter" || event.key === "Tab") && place >= 0) take(field, all[place]);
    else if (event.key === "Escape") close(field);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  document.addEventListener("mousedown", (event) => {
    const option = event.target.closest("[data-name][role=option]");
    if (!option) return;
    event.preventDefault();
    const field = document.querySelector(`[data-mentions][aria-controls="${option.closest("[data-people]").id}"]`);
    take(field, option);
  });
})();
