// What the page asks the server: TensorFlow Serving's REST interface, and the list of models beside it.

// The JSON of an answer; an Error with the server's words where it refuses.
async function json(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached.");
  }
  let answer = {};
  try {
    answer = JSON.parse(await response.text());
  } catch {
    if (response.ok) throw new Error("The server did not answer in JSON.");
  }
  if (!response.ok) throw new Error(answer.error || `The server refused (${response.status}).`);
  return answer;
}

const address = (model) => `/v1/models/${encodeURIComponent(model)}`;

// {models: names, max_body: bytes}
export const models = () => json("/web/models.json");

// The highest version that answers; null where there is none yet.
export async function version(model) {
  const states = (await json(address(model))).model_version_status ?? [];
  const numbers = states.filter((state) => state.state === "AVAILABLE").map((state) => Number(state.version));
  return numbers.length ? Math.max(...numbers) : null;
}

// {name: {inputs: {...}, outputs: {...}}}
export const signatures = async (model) =>
  (await json(`${address(model)}/metadata`)).metadata?.signature_def?.signature_def ?? {};

// The answer of a signature for one image file in base64, and the milliseconds that it took.
export async function ask(model, signature, b64, signal) {
  const body = JSON.stringify({ signature_name: signature, instances: [{ image_bytes: { b64 } }] });
  const headers = { "Content-Type": "application/json" };
  const began = performance.now();
  const answer = await json(`${address(model)}:predict`, { method: "POST", headers, body, signal });
  const milliseconds = performance.now() - began;
  const row = answer.predictions?.[0];
  if (!row) throw new Error("The server answered without a prediction.");
  if (row.errors) throw new Error(`The image cannot be read: ${row.errors}`);
  return { row, milliseconds };
}
