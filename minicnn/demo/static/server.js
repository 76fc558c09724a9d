// Requests to the server. A static copy of the page has a file of this name that answers them itself.

export async function ask(name, body = {}) {
  const response = await fetch(`/api/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? response.statusText);
  return answer;
}

// What the page says of a request that failed.
export const complaint = (error) => (error instanceof TypeError ? "The server does not respond; is it still running?" : error.message);
