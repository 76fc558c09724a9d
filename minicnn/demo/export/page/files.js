// The files beside this one.

async function fetched(name) {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error(`${name} cannot be loaded: ${response.status} ${response.statusText}`);
  return response;
}

export const fetchJson = async (name) => (await fetched(name)).json();

// The bytes of a file; those of gzip are unpacked, unless the server or the browser has done so.
export async function fetchBytes(name) {
  const bytes = await (await fetched(name)).arrayBuffer();
  const [first, second] = new Uint8Array(bytes, 0, Math.min(2, bytes.byteLength));
  if (first !== 0x1f || second !== 0x8b) return bytes;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
