// The filters of a network as buttons: one that is off gives a map of zeros.

import { largest, signed } from "./colours.js";
import { amount, counted, element } from "./format.js";
import { enlargement, fitCard, onOneScreen } from "./large.js";
import { Picture } from "./picture.js";

const SIDE = 56; // CSS pixels of a map, about, for type of the usual size

export class Filters {
  // changed() is called when a filter goes on or off.
  constructor(place, changed) {
    Object.assign(this, { place, changed, off: new Set(), rows: [] });
  }

  // The filters that are off, as [stage, map].
  get list() {
    return [...this.off].map((key) => key.split(" ").map(Number));
  }

  allOn() {
    this.off.clear();
    this.changed();
  }

  // found: [{name, stage, values: {shape, values}}]
  show(found) {
    if (this.rows.length !== found.length) this.build(found);
    found.forEach(({ stage, values: { shape, values } }, i) => {
      const { buttons, pictures, note } = this.rows[i];
      const most = largest(values);
      pictures.forEach((picture, map) => {
        picture.paint(values.filter((_, at) => at % shape[2] === map), (value) => signed(value, most));
        buttons[map].setAttribute("aria-pressed", !this.off.has(`${stage} ${map}`));
      });
      const off = this.list.filter(([one]) => one === stage).length;
      note.textContent = `${counted(shape[2], "filter")}${off ? `, ${off} off` : ""}; largest ${amount(most)}`;
    });
  }

  build(found) {
    this.rows = found.map(({ name, stage, values: { shape } }) => {
      const note = element("small");
      const pictures = Array.from({ length: shape[2] }, () => new Picture([shape[0], shape[1], 1], ""));
      const buttons = pictures.map((picture, map) => {
        picture.canvas.setAttribute("aria-hidden", "true");
        picture.canvas.removeAttribute("aria-label");
        picture.canvas.removeAttribute("role");
        const button = element("button", { onclick: () => this.toggle(stage, map) }, picture.element, element("span", { textContent: `filter ${map}` }));
        button.setAttribute("aria-label", `${name}, filter ${map}`);
        return button;
      });
      const row = element("div", { className: "layer" }, element("h3", { textContent: `${name} ` }, note), element("div", { className: "maps" }, ...buttons));
      return { row, note, pictures, buttons };
    });
    this.place.replaceChildren(...this.rows.map(({ row }) => row));
    this.arrange();
    if (!found.length) this.place.textContent = "This network has no convolution.";
  }

  // In lecture mode, the maps are as large as there is room in the card.
  arrange() {
    const set = (factor) => {
      for (const picture of this.rows.flatMap(({ pictures }) => pictures)) {
        picture.scale = Math.max(1, Math.round((SIDE * factor) / picture.rows));
        picture.arrange(picture.columns * picture.scale);
      }
    };
    if (onOneScreen()) fitCard(this.place.parentElement, set, 0.15, 4 * enlargement());
    else set(enlargement());
  }

  toggle(stage, map) {
    const key = `${stage} ${map}`;
    if (!this.off.delete(key)) this.off.add(key);
    this.changed();
  }
}
