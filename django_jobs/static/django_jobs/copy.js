/* A button to copy what stands in a box; without JavaScript there is none, and nothing is missing. */
(() => {
  "use strict";
  const words = document.getElementById("job-copy-words")?.dataset ?? {};

  /* Without https there is no clipboard API: then the old way, by a selection. */
  async function copy(box) {
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(box.textContent);
      return true;
    }
    const range = document.createRange();
    range.selectNodeContents(box);
    const chosen = getSelection();
    chosen.removeAllRanges();
    chosen.addRange(range);
    return document.execCommand("copy");
  }

  function add(holder) {
    if (holder.querySelector("button")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "jobs-button";
    button.textContent = words.copy;
    button.addEventListener("click", async () => {
      let done = false;
      try { done = await copy(holder.querySelector("pre")); } catch { /* not allowed: said below */ }
      button.textContent = done ? words.done : words.failed;
    });
    holder.append(button);
  }
  const all = () => document.querySelectorAll(".job-copy").forEach(add);
  document.body.addEventListener("htmx:oobAfterSwap", all);
  all();
})();
