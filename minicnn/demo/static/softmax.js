// From logits to per cent: the last step, which is no layer of the network.

import { amount, element, number, percent } from "./format.js";

const SHOWN = 12; // classes

export class SoftmaxTable {
  constructor(names) {
    this.names = names;
    this.body = element("tbody");
    const head = element("tr", {}, ...["class", "logit z", "exp(z − largest)", "÷ sum"].map((text) => element("th", { textContent: text, scope: "col" })));
    this.note = element("p", { className: "help" });
    const title = element("h3", { textContent: "Softmax " }, element("small", { textContent: "from logits to probabilities" }));
    this.element = element("li", { className: "layer", id: "softmax" }, title, element("table", {}, element("thead", {}, head), this.body), this.note);
  }

  show(logits) {
    if (!logits) {
      this.body.replaceChildren();
      this.note.textContent = "";
      return;
    }
    const most = Math.max(...logits);
    const powers = Array.from(logits, (logit) => Math.exp(logit - most));
    const sum = powers.reduce((all, power) => all + power, 0);
    const order = [...powers.keys()];
    if (order.length > SHOWN) order.sort((a, b) => powers[b] - powers[a]).splice(SHOWN);
    const best = powers.indexOf(Math.max(...powers));
    this.body.replaceChildren(...order.map((i) => element("tr", { className: i === best ? "result" : "" },
      ...[this.names[i], number(logits[i]), number(powers[i]), percent(powers[i] / sum)].map((text) => element("td", { textContent: text })))));
    const rest = powers.length - order.length;
    this.note.textContent = `Sum of the exponentials: ${amount(sum)}${rest ? `, with those of ${rest} more classes` : ""}. The loss is −log of the probability of the right class.`;
  }
}
