// Keys that work everywhere on a page, and the dialog that lists them, where they can be switched off.

import { element } from "./format.js";

const STORE = "minicnn-keys";

const usable = ({ target, ctrlKey, metaKey, altKey, isComposing }) =>
  !ctrlKey && !metaKey && !altKey && !isComposing && !target.closest?.("input, select, textarea, dialog");

function remembered() {
  try {
    return localStorage.getItem(STORE) !== "off";
  } catch {
    return true; // a browser that stores nothing
  }
}

// keys: {letter: [what it does, work]}; others: lines for keys that belong to a part of the page.
export function listenToKeys(keys, others = {}) {
  let on = remembered();
  const dialog = element("dialog", { id: "keys" });
  dialog.setAttribute("aria-labelledby", "keys-title");
  const lines = [...Object.entries(keys).map(([key, [text]]) => [key.toUpperCase(), text]), ...Object.entries(others), ["?", "this list"]];
  const list = element("dl", {}, ...lines.flatMap(([key, text]) => [element("dt", {}, element("kbd", { textContent: key })), element("dd", { textContent: text })]));
  const box = element("input", { type: "checkbox", checked: on });
  box.addEventListener("change", () => {
    on = box.checked;
    try { localStorage.setItem(STORE, on ? "on" : "off"); } catch { /* then for this visit */ }
  });
  dialog.append(element("h2", { id: "keys-title", textContent: "Keys" }), list,
    element("p", {}, element("label", {}, box, " letters work as keys")),
    element("button", { textContent: "Close", onclick: () => dialog.close() }));
  document.body.append(dialog);
  document.addEventListener("keydown", (event) => {
    if (!usable(event) || document.querySelector("dialog[open]")) return;
    if (event.key === "?") dialog.showModal();
    const found = on && keys[event.key.toLowerCase()];
    if (!found) return;
    event.preventDefault();
    found[1]();
  });
  return () => dialog.showModal();
}
