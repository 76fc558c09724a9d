// In place of the requests to a server: a static copy answers them in the browser.

export { ask, complaint } from "../copy/answers.js";
