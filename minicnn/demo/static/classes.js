// The classes, each with a bar for its probability.

import { element, percent, write } from "./format.js";

const MANY = 12; // classes above which the list scrolls by itself
const LONG = 12; // letters of a name above which it is written smaller as the answer

// wrap(parts, number) returns the element that holds the name, the bar and the share of a class.
export function listClasses(list, names, wrap) {
  names.forEach((name, number) => {
    const parts = [element("span", { className: "name", textContent: name, title: name }), element("span", { className: "bar" }, element("i")), element("span", { className: "share" })];
    list.append(element("li", {}, wrap(parts, number)));
  });
  list.classList.toggle("worded", names.some((name) => name.length > 2));
  list.classList.toggle("many", names.length > MANY);
  if (names.length > MANY && !list.querySelector("button")) list.tabIndex = 0; // for the keys that scroll
}

// shares: the probabilities of the names, or null. Of many classes, that of the answer is written beside it.
export function showAnswer(place, names, shares) {
  const best = shares ? shares.indexOf(Math.max(...shares)) : null;
  const name = shares ? names[best] ?? "not a number" : "–";
  write(place, name);
  place.classList.toggle("long", name.length > LONG);
  place.dataset.share = shares && names.length > MANY && best >= 0 ? ` ${percent(shares[best])}` : "";
}

// shares: the probabilities, or null.
export function showShares(list, shares) {
  [...list.children].forEach((item, number) => {
    item.querySelector("i").style.transform = `scaleX(${shares ? shares[number] : 0})`;
    write(item.querySelector(".share"), shares ? `${(100 * shares[number]).toFixed(1)} %` : "");
  });
  if (shares && list.classList.contains("many")) bringIntoSight(list, shares.indexOf(Math.max(...shares)));
}

// Of many classes, the most probable one is in the middle of those in sight.
function bringIntoSight(list, best) {
  if (list.best === best) return;
  list.best = best;
  const { offsetTop, offsetHeight } = list.children[best] ?? list.firstElementChild; // of a network without numbers
  list.scrollTop = offsetTop - (list.clientHeight - offsetHeight) / 2;
}
