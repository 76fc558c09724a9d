// A response that goes on: a line of JSON for each picture of a training that is watched.

// Yield the values of the lines, until the response ends or `signal` aborts it. Of lines that have come together only
// the last one counts: a browser that is slow skips pictures.
export async function* streamed(name, body, signal) {
  const response = await fetch(`/api/${name}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });
  if (!response.ok) throw new Error((await response.json()).error ?? response.statusText);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    if (!lines.length) continue;
    const found = JSON.parse(lines.at(-1));
    if (found.error && !found.nets) throw new Error(found.error);
    yield found;
  }
}
