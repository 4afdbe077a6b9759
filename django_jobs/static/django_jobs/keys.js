/* Keys: what they do is read from the page's own list of them, so that help and deed agree. */
(() => {
  "use strict";
  const help = document.getElementById("jobs-keys");
  const opener = document.getElementById("jobs-keys-open");
  const off = document.getElementById("jobs-keys-off");
  if (!help || !help.showModal) return;
  const KEY = "django_jobs.keys_off";
  try { off.checked = localStorage.getItem(KEY) === "1"; } catch { /* no storage: keys are on */ }
  off.addEventListener("change", () => {
    try { localStorage.setItem(KEY, off.checked ? "1" : "0"); } catch { /* for this page only */ }
  });
  opener.hidden = false;
  opener.addEventListener("click", () => help.showModal());

  function move(step) {
    const links = [...document.querySelectorAll("#content-main table tbody th a")];
    const at = links.indexOf(document.activeElement);
    const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step];
    if (next) next.focus();
  }
  const deeds = {
    "?": () => help.showModal(),
    "/": () => document.querySelector("#content-main [name=q]")?.focus(),
    j: () => move(1),
    k: () => move(-1),
    x: () => document.activeElement.closest("tr")?.querySelector("input[type=checkbox]")?.click(),
    p: () => document.getElementById("jobs-pause")?.click(),
  };

  let afterG = false;
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]");
    if (off.checked || help.open || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const place = afterG && help.querySelector(`a[data-key="${CSS.escape(event.key)}"]`);
    afterG = event.key === "g" && !place;
    const deed = place ? () => place.click() : deeds[event.key];
    if (!deed) return;
    event.preventDefault();
    event.stopPropagation(); // a theme may have keys of its own, such as the question mark
    deed();
  });
})();
