// The page: an image in, the classes out.

import { draw } from "./heat.js";
import { base64, blob, imageIn, readable } from "./images.js";
import { SAMPLES, drawn } from "./samples.js";
import * as server from "./server.js";

const SAMPLE_SIZE = 224;
const get = (id) => document.getElementById(id);
const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const answers = get("answer-title").parentElement;

let mostBytes = Infinity;
let known = {}; // the signatures of the chosen model
let shown = null; // {file, name} of the image
let explained = null; // {image, map} of the explanation
let asking = new AbortController();

function problem(words) {
  get("problem").textContent = words;
  get("problem").hidden = !words;
}

function clear() {
  get("classes").replaceChildren();
  get("latency").textContent = get("unexplained").textContent = "";
  get("explanation").hidden = true;
  explained = null;
}

function fail(error) {
  if (error.name === "AbortError") return; // another image was chosen meanwhile
  clear();
  get("told").textContent = "There is no answer.";
  problem(error.message);
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function listed(name, probability) {
  const item = document.createElement("li");
  const bar = element("div", "bar");
  const filled = document.createElement("span");
  bar.setAttribute("aria-hidden", "true"); // the number says it
  filled.style.width = `${100 * Math.min(Math.max(probability, 0), 1)}%`;
  bar.append(filled);
  item.append(element("span", "name", name), element("span", "percent", percent.format(probability)), bar);
  return item;
}

function show(row, milliseconds) {
  if (!Array.isArray(row.classes) || !Array.isArray(row.probabilities)) {
    throw new Error("This page shows classes; the model answers something else.");
  }
  get("classes").replaceChildren(...row.classes.map((name, i) => listed(name, row.probabilities[i])));
  get("told").textContent = `${shown.name}: ${row.classes[0]}, ${percent.format(row.probabilities[0])}`;
  get("latency").textContent = `Answered in ${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms, with the way there and back.`;
}

async function explain(b64, signal) {
  if (!known.explain) {
    get("unexplained").textContent =
      "There is no explanation map: the export has no signature called explain.";
    return;
  }
  const { row, milliseconds } = await server.ask(get("model").value, "explain", b64, signal);
  const image = new Image();
  image.src = `data:image/png;base64,${row.view_bytes.b64}`;
  await image.decode();
  explained = { image, map: row.map };
  get("explained").textContent = `What speaks for ${row.class}, in what the network sees (${milliseconds.toFixed(0)} ms)`;
  get("map").setAttribute("aria-label", `The image with a map of what speaks for ${row.class}`);
  get("explanation").hidden = false;
  redraw();
}

function redraw() {
  if (explained) draw(get("map"), explained.image, explained.map, get("strength").value / 100);
}

async function ask() {
  asking.abort();
  asking = new AbortController();
  if (!shown) return;
  const { signal } = asking;
  problem("");
  answers.setAttribute("aria-busy", "true");
  try {
    const { file } = shown;
    const b64 = await base64(await readable(file, mostBytes));
    if (signal.aborted) return;
    const { row, milliseconds } = await server.ask(get("model").value, "serving_default", b64, signal);
    clear();
    show(row, milliseconds);
    await explain(b64, signal);
  } catch (error) {
    if (!signal.aborted) fail(error);
  } finally {
    if (!signal.aborted) answers.removeAttribute("aria-busy");
  }
}

function take(file, name) {
  if (!file) return;
  shown = { file, name };
  const preview = get("preview");
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  preview.alt = `The image: ${name}`;
  preview.hidden = false;
  get("invitation").hidden = true;
  get("drop").classList.add("full");
  ask();
}

async function choose() {
  const model = get("model").value;
  get("address").href = `/v1/models/${encodeURIComponent(model)}/metadata`;
  problem("");
  try {
    const version = await server.version(model);
    get("version").textContent = version === null ? "no version is available yet" : `version ${version}`;
    known = version === null ? {} : await server.signatures(model);
    const takes = known.serving_default?.inputs?.image_bytes;
    if (version !== null && !takes) throw new Error("This model takes no image files, so the page cannot ask it.");
  } catch (error) {
    known = {};
    fail(error);
    return;
  }
  ask();
}

function offerSamples() {
  for (const name of Object.keys(SAMPLES)) {
    const button = element("button", "");
    button.type = "button";
    button.title = name;
    button.setAttribute("aria-label", `Sample: ${name}`);
    button.append(drawn(name, SAMPLE_SIZE));
    button.addEventListener("click", async () => take(await blob(drawn(name, SAMPLE_SIZE), "image/png"), name));
    get("samples").append(button);
  }
}

function listen() {
  for (const input of [get("file"), get("photo")]) {
    input.addEventListener("change", () => {
      take(input.files[0], input.files[0]?.name);
      input.value = ""; // the same file can be chosen again
    });
  }
  const over = (event, inside) => {
    event.preventDefault();
    get("drop").classList.toggle("over", inside);
  };
  document.addEventListener("dragover", (event) => over(event, true));
  document.addEventListener("dragleave", (event) => over(event, Boolean(event.relatedTarget)));
  document.addEventListener("drop", (event) => {
    over(event, false);
    const file = imageIn(event.dataTransfer);
    file ? take(file, file.name) : problem("What was dropped is no image.");
  });
  document.addEventListener("paste", (event) => {
    const file = imageIn(event.clipboardData);
    if (file) take(file, "pasted image");
  });
  get("strength").addEventListener("input", redraw);
  get("model").addEventListener("change", choose);
}

async function start() {
  offerSamples();
  listen();
  try {
    const { models, max_body } = await server.models();
    mostBytes = max_body;
    get("model").replaceChildren(...models.map((name) => new Option(name, name)));
    get("model").disabled = !models.length;
    await choose();
  } catch (error) {
    fail(error);
  }
}

start();
