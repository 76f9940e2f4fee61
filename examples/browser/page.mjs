// The page: a photo is dropped or chosen, shown, and classified.

import { opened } from "./classifier.mjs";

// A longer side is made shorter first: the network sees less still, and memory of a phone is small.
const LONGEST = 1024;
const [drop, choose, state, error, photo, classes] = ["drop", "choose", "state", "error", "photo", "classes"].map(
  (name) => document.getElementById(name),
);
const network = opened("model.onnx");
let turn = Promise.resolve();
network.then(() => (state.textContent = "Ready."), told);

drop.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  take(event.dataTransfer.files[0]);
});
choose.addEventListener("change", () => take(choose.files[0]));

/** Classify one file after the other: the network runs once at a time. */
function take(file) {
  if (!file) return;
  error.textContent = "";
  classes.replaceChildren();
  state.textContent = `${file.name} …`;
  turn = turn.then(() => classify(file));
}

async function classify(file) {
  try {
    const { data, width, height } = await pixelsOf(file);
    const run = await network;
    const began = performance.now();
    const rows = await run(data, width, height);
    state.textContent = `${file.name}: ${rows[0][0]}, in ${Math.round(performance.now() - began)} ms`;
    classes.replaceChildren(...rows.slice(0, 5).map(row));
  } catch (problem) {
    told(problem);
  }
}

/** The pixels of a photo, upright as its camera was held, and the photo on the page. */
async function pixelsOf(file) {
  const picture = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name} is no image that this browser reads`);
  });
  const scale = Math.min(1, LONGEST / Math.max(picture.width, picture.height));
  photo.width = Math.max(1, Math.round(picture.width * scale));
  photo.height = Math.max(1, Math.round(picture.height * scale));
  const context = photo.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, photo.width, photo.height);
  photo.hidden = false;
  return context.getImageData(0, 0, photo.width, photo.height);
}

function row([name, share]) {
  const line = document.createElement("tr");
  line.insertCell().textContent = name;
  line.insertCell().textContent = `${(100 * share).toFixed(1)} %`;
  line.dataset.share = share;
  return line;
}

function told(problem) {
  state.textContent = "";
  error.textContent = problem.message;
}
