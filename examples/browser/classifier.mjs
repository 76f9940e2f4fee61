// An exported part in the browser: pixels in, probabilities by class name out.

import * as ort from "./ort.wasm.min.mjs";
import { metadataOf } from "./metadata.mjs";

/** What runs the file at an address: `(pixels, width, height) => [[class, probability], …]`, the likeliest first. */
export async function opened(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address} is not there (${answer.status}): npm run build -- FILE.onnx puts it there`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const notes = metadataOf(bytes);
  if (!("model_lego.resizing" in notes)) {
    throw new Error(`${address} takes no pictures: write it with model-lego export … --with-preprocessing`);
  }
  const classes = JSON.parse(notes["model_lego.classes"]);
  const colours = JSON.parse(notes["model_lego.takes"]).shape[3];
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  return async (rgba, width, height) => {
    const pixels = new ort.Tensor("uint8", coloured(rgba, colours), [1, height, width, colours]);
    const given = await session.run({ [session.inputNames[0]]: pixels });
    const shares = given[session.outputNames[0]].data;
    return classes.map((name, place) => [name, shares[place]]).sort((one, other) => other[1] - one[1]);
  };
}

/** Red, green and blue of each pixel, or its grey, weighed as Pillow does. */
function coloured(rgba, colours) {
  const pixels = new Uint8Array((rgba.length / 4) * colours);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    const [red, green, blue] = [rgba[from], rgba[from + 1], rgba[from + 2]];
    if (colours === 1) pixels[to++] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    else {
      pixels[to++] = red;
      pixels[to++] = green;
      pixels[to++] = blue;
    }
  }
  return pixels;
}
