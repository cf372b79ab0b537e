// Fields complete themselves: names after an @ (data-mentions), the end of a line (data-completes).
(() => {
  "use strict";
  const typed = /(?:^|[^\w@.+-])@([\w.+-]{1,150})$/;
  let timer = 0;
  const listOf = (field) => document.getElementById(field.getAttribute("aria-controls"));
  const options = (field) => [...listOf(field).querySelectorAll("[role=option]")];
  const chosen = (field) => options(field).find((each) => each.getAttribute("aria-selected") === "true");
  const fields = "[data-mentions], [data-completes]";
  const mentions = (field) => "mentions" in field.dataset;
  const part = (field) => {
    const before = field.value.slice(0, field.selectionStart);
    return mentions(field) ? before.match(typed)?.[1] : before || undefined;
  };

  function tell(field) {
    if (field.hasAttribute("aria-expanded")) field.setAttribute("aria-expanded", String(options(field).length > 0));
  }
  function close(field) {
    clearTimeout(timer);
    listOf(field).replaceChildren();
    tell(field);
    field.removeAttribute("aria-activedescendant");
  }
  function ask(field) {
    const name = part(field);
    if (name === undefined) return;
    // Below its field, wherever the form around it wraps.
    if (!mentions(field)) field.after(listOf(field));
    const address = `${field.dataset.mentions ?? field.dataset.completes}?q=${encodeURIComponent(name)}`;
    window.htmx.ajax("GET", address, { target: listOf(field), swap: "innerHTML" })
      .then(() => {
        if (part(field) !== name || document.activeElement !== field) close(field);
        else if (mentions(field)) mark(field, options(field)[0]);
        tell(field);
      });
  }
  function mark(field, option) {
    if (!option) return;
    options(field).forEach((each) => each.setAttribute("aria-selected", String(each === option)));
    field.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  }
  function take(field, option) {
    const name = part(field);
    if (name === undefined) return close(field);
    const from = field.selectionStart - name.length;
    field.setRangeText(option.dataset.name + (mentions(field) ? " " : ""), from, field.selectionStart, "end");
    close(field);
    field.focus();
  }

  document.addEventListener("input", (event) => {
    const field = event.target;
    if (!field.matches(fields)) return;
    close(field);
    if (part(field) !== undefined) timer = setTimeout(() => ask(field), 150);
  });
  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (!field.matches(fields)) return;
    if (event.key === "Enter") clearTimeout(timer);
    if (!options(field).length) return;
    const all = options(field);
    const place = all.indexOf(chosen(field));
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) mark(field, all[(Math.max(place, step < 0 ? 0 : -1) + step + all.length) % all.length]);
    else if ((event.key === "Enter" || event.key === "Tab") && place >= 0) take(field, all[place]);
    else if (event.key === "Escape") close(field);
    else if (event.key === "Enter" && !mentions(field)) return close(field);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  document.addEventListener("focusout", (event) => {
    if (event.target.matches(fields)) close(event.target);
  });
  document.addEventListener("mousedown", (event) => {
    const option = event.target.closest("[data-name][role=option]");
    if (!option) return;
    event.preventDefault();
    const field = document.querySelector(`[aria-controls="${option.closest("[data-choices]").id}"]`);
    take(field, option);
  });
})();
