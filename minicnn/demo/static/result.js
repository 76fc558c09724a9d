// What an action has changed: a sentence and its picture, in sight wherever the page is scrolled to.

import { amount, element, number, percent } from "./format.js";

const $ = (id) => document.getElementById(id);
const SHOWN = 10; // classes

export function showResult(text, ...pictures) {
  $("lesson").textContent = text;
  $("change").replaceChildren(...pictures);
  $("result").className = "";
}

export function hideResult() {
  $("result").className = "hidden";
  $("lesson").textContent = "";
  $("change").replaceChildren();
}

// Two bars on one scale.
export function lossPicture(before, after) {
  const most = Math.max(before, after) || 1;
  const rows = [["before", before, "was"], ["after", after, "now"]].map(([name, loss, kind]) => {
    const bar = element("i", { className: kind });
    bar.style.width = `${(100 * loss) / most}%`;
    return element("div", { className: "row" }, element("span", { textContent: name }), element("span", { className: "track" }, bar),
      element("span", { className: "value", textContent: number(loss) }));
  });
  return figure("Loss", `Loss before ${number(before)}, after ${number(after)}`, element("div", { className: "losses" }, ...rows));
}

// For each class two columns: its probability before and after.
export function answerPicture(was, now, names, label) {
  const order = [...names.keys()].sort((a, b) => Math.max(was[b], now[b]) - Math.max(was[a], now[a]));
  const shown = new Set([label, ...order].slice(0, SHOWN + 1).filter((n, i, all) => all.indexOf(n) === i).slice(0, SHOWN));
  const columns = [...names.keys()].filter((number) => shown.has(number)).map((number) => {
    const bars = [["was", was], ["now", now]].map(([kind, shares]) => {
      const bar = element("i", { className: kind });
      bar.style.height = `${100 * shares[number]}%`;
      return bar;
    });
    const title = `${names[number]}: ${percent(was[number])} before, ${percent(now[number])} after`;
    return element("div", { className: number === label ? "column taught" : "column", title },
      element("span", { className: "track" }, ...bars), element("span", { className: "name", textContent: names[number] }));
  });
  const text = `${names[label]}: ${percent(was[label])} before, ${percent(now[label])} after`;
  return figure(`Probabilities (${text})`, text, element("div", { className: "columns" }, ...columns));
}

// A column for each stage: its largest gradient.
export function gradientPicture(sizes, names) {
  const most = Math.max(...sizes) || 1;
  const columns = sizes.map((size, i) => {
    const bar = element("i", { className: "now" });
    bar.style.height = `${(100 * size) / most}%`;
    return element("div", { className: "column", title: `${names[i]}: ${amount(size)}` }, element("span", { className: "track" }, bar),
      element("span", { className: "name", textContent: names[i].split(" ")[0] }));
  });
  const text = `Largest gradient in each layer, from the input to the output: at most ${amount(most)}`;
  return figure(text, text, element("div", { className: "columns" }, ...columns));
}

function figure(caption, label, content) {
  content.setAttribute("role", "img");
  content.setAttribute("aria-label", label);
  return element("figure", {}, element("figcaption", { textContent: caption }), content);
}
