// Large type for a lecture hall, by one key, on the pages that have no lecture mode of their own.

import { element } from "./format.js";
import { listenToKeys } from "./keys.js";

const HASH = "#lecture";
const USUAL = 16; // CSS pixels of the root's type, where nobody has chosen another size

// How much larger than usual the type is, for pictures that grow with it.
export const enlargement = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / USUAL;

// Whether all is to be in the window at once: in lecture mode, unless the window is small, as in lecture.css.
export const onOneScreen = () => document.documentElement.classList.contains("large") && matchMedia("(min-width: 1151px) and (min-height: 501px)").matches;

// Call set() with about the largest factor between two with which a card needs no scrolling.
export function fitCard(card, set, low, high) {
  while (high > 1.08 * low) {
    const middle = Math.sqrt(low * high);
    set(middle);
    if (card.scrollHeight <= card.clientHeight && card.scrollWidth <= card.clientWidth) low = middle;
    else high = middle;
  }
  set(low);
}

// changed() is called when the type has another size.
export function offerLargeType(changed = () => {}) {
  const button = element("button", { textContent: "Lecture mode" });
  const set = (on) => {
    document.documentElement.classList.toggle("large", on);
    button.setAttribute("aria-pressed", on);
    history.replaceState(null, "", `${location.pathname}${location.search}${on ? HASH : ""}`);
    changed();
  };
  const toggle = () => set(button.getAttribute("aria-pressed") !== "true");
  const showKeys = listenToKeys({ l: ["lecture mode: large type and pictures", toggle] }, { Tab: "from one control to the next", arrows: "from cell to cell" });
  Object.assign(button, { id: "lecture", onclick: toggle });
  button.setAttribute("aria-keyshortcuts", "L");
  document.querySelector("header").append(element("div", { className: "modes" }, button, element("button", { textContent: "Keys", onclick: showKeys })));
  set(location.hash === HASH);
}
