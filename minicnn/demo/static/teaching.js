// The gradient stage by stage, training steps on the image that is shown, and their undo.

import { ask, unpack } from "./api.js";
import { largest } from "./colours.js";
import { counted, number as digits } from "./format.js";
import { answerPicture, gradientPicture, lossPicture, showResult } from "./result.js";

const $ = (id) => document.getElementById(id);
const LIT = 180; // milliseconds of each stage

export class Teaching {
  // page: {net, state, stages, trying(work), label(), asked(), getGradients(), paint(), look(), inspect()}
  constructor(page) {
    this.page = page;
    const works = { flow: () => this.flow(), step: () => this.step(), unstep: () => this.undo(false), forget: () => this.undo(true) };
    for (const [id, work] of Object.entries(works)) $(id).addEventListener("click", page.trying(work));
    this.showTaught(page.net);
  }

  // What is shown, or null and a sentence that there is nothing.
  demandDrawing() {
    const { state, net } = this.page;
    if (!state.seen) showResult(net.draws ? "Draw something first." : "Show a picture first.");
    return state.seen;
  }

  setView(view) {
    this.page.state.view = view;
    document.querySelector(`[name=view][value=${view}]`).checked = true;
  }

  // Show the gradient stage by stage, from the output to the drawing.
  async flow() {
    const { page } = this;
    const { state, stages } = page;
    if (!this.demandDrawing()) return;
    this.setView("forward");
    page.paint();
    await page.getGradients();
    this.setView("backward");
    const { gradients, seen } = state;
    const sizes = gradients.stages.map(({ values }) => largest(values));
    showResult(`The loss, −log of the probability of ${page.net.classes[page.label()]}, is ${digits(gradients.loss)}.`,
      gradientPicture(sizes, stages.all.map(({ name }) => name)));
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    for (const stage of stages.all.toReversed()) {
      if (state.gradients !== gradients) return; // something new was drawn
      stages.paintStage(stage, seen, gradients.stages[stage.number]);
      stage.item.classList.add("lit");
      if (!still) await new Promise((done) => { setTimeout(done, LIT); });
      stage.item.classList.remove("lit");
    }
    page.paint();
    if (state.cell) page.inspect();
  }

  async step() {
    const { page } = this;
    const { net } = page;
    if (!this.demandDrawing()) return;
    const wanted = page.label();
    const { before, after, was, now, ...taught } = await ask("step", page.asked());
    this.showTaught(taught);
    showResult(`One step towards ${net.classes[wanted]}, with learning rate ${net.rate}: the loss went from ${digits(before)} to ${digits(after)}.`,
      lossPicture(before, after), answerPicture(unpack(was).values, unpack(now).values, net.classes, wanted));
    page.look();
  }

  async undo(all) {
    const taught = await ask("undo", { all });
    this.showTaught(taught);
    showResult(taught.steps ? `Undone; ${counted(taught.steps, "step")} left.` : "Undone: the network is as it was.");
    this.page.look();
  }

  // The header says for how long the network is no longer the one that was opened.
  showTaught({ steps, undoable }) {
    $("unstep").disabled = !undoable;
    $("taught").hidden = !steps;
    $("count").textContent = `You taught this network ${counted(steps, "step")}.`;
  }
}
