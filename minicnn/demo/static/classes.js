// The classes, each with a bar for its probability.

import { element, write } from "./format.js";

// wrap(parts, number) returns the element that holds the name, the bar and the share of a class.
export function listClasses(list, names, wrap) {
  names.forEach((name, number) => {
    const parts = [element("span", { textContent: name }), element("span", { className: "bar" }, element("i")), element("span", { className: "share" })];
    list.append(element("li", {}, wrap(parts, number)));
  });
  list.classList.toggle("worded", names.some((name) => name.length > 2));
}

// shares: the probabilities, or null.
export function showShares(list, shares) {
  [...list.children].forEach((item, number) => {
    item.querySelector("i").style.transform = `scaleX(${shares ? shares[number] : 0})`;
    write(item.querySelector(".share"), shares ? `${(100 * shares[number]).toFixed(1)} %` : "");
  });
}
