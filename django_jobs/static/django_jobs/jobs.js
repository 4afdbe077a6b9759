/* Keeps a screen fresh: when to ask, and which regions to leave alone. htmx does the rest. */
(() => {
  "use strict";
  const live = document.getElementById("jobs-live");
  if (!live || !window.htmx) return;
  const pause = document.getElementById("jobs-pause");
  const age = document.getElementById("jobs-age");
  const KEY = "django_jobs.paused";
  const LONGEST = 60000;
  const interval = Number(live.dataset.interval) * 1000;
  let wait = interval, freshAt = Date.now(), timer, busy = false, paused = false, stopped = false;
  try { paused = localStorage.getItem(KEY) === "1"; } catch { /* no storage: not paused */ }

  const plan = () => { clearTimeout(timer); timer = setTimeout(ask, wait); };
  function ask() {
    if (busy) return;
    if (document.hidden || paused) { plan(); return; }
    busy = true;
    htmx.trigger(live, "jobs-refresh");
  }

  /* A swap would steal the focus, close what is open, and undo a selection. */
  function inUse(region) {
    const chosen = getSelection();
    return region.contains(document.activeElement) || region.querySelector("details[open]:not([data-auto])")
      || (chosen && !chosen.isCollapsed && region.contains(chosen.anchorNode));
  }
  document.body.addEventListener("htmx:oobBeforeSwap", (event) => {
    if (inUse(event.detail.target)) event.detail.shouldSwap = false;
  });

  live.addEventListener("htmx:afterRequest", (event) => {
    busy = false;
    if (event.detail.xhr.status === 286) { stopped = true; pause.hidden = true; return; }
    if (event.detail.successful) { wait = interval; freshAt = Date.now(); age.textContent = ""; }
    else {
      wait = Math.min(wait * 2, LONGEST);
      const seconds = Math.round((Date.now() - freshAt) / 1000);
      age.textContent = live.dataset.old.replace("{}", seconds);
    }
    plan();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !stopped) ask(); });

  function show() {
    pause.hidden = false;
    pause.textContent = paused ? pause.dataset.off : pause.dataset.on;
    pause.setAttribute("aria-pressed", String(paused));
  }
  pause.addEventListener("click", () => {
    paused = !paused;
    try { localStorage.setItem(KEY, paused ? "1" : "0"); } catch { /* for this page only */ }
    show();
    if (!paused) ask();
  });
  show();
  plan();
})();
