// `npm test -- FILE.onnx PHOTO …` drops photos on the page in a headless Chromium, and compares what stands there with
// what onnxruntime gives in Python (PYTHON names an interpreter that has it). Photos longer than 1,024 pixels are made
// smaller by the browser, which Python is not: take smaller ones.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { basename, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";
import { build } from "./build.mjs";

const TYPES = { ".html": "text/html", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const [model, ...photos] = process.argv.slice(2);
if (!photos.length) {
  console.error("npm test -- FILE.onnx PHOTO …");
  process.exit(2);
}
const python = process.env.PYTHON ?? "python3";
const script = fileURLToPath(new URL("expected.py", import.meta.url));
const expected = execFileSync(python, [script, model, ...photos], { encoding: "utf8" }).trim().split("\n").map(JSON.parse);

const dist = await build(model);
const server = createServer(async (request, answer) => {
  const name = request.url === "/" ? "index.html" : basename(request.url);
  const content = await readFile(join(dist, name)).catch(() => null);
  answer.writeHead(content ? 200 : 404, { "Content-Type": TYPES[extname(name)] ?? "application/octet-stream" });
  answer.end(content);
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const address = `http://127.0.0.1:${server.address().port}/`;
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? (await chromium.executablePath()),
  args: ["--no-sandbox", "--disable-gpu"],
  headless: "shell",
});

try {
  const page = await browser.newPage();
  const complaints = [], asked = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => complaints.push(message.text()));
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(address);
  await page.waitForFunction(() => document.getElementById("state").textContent === "Ready.");
  for (const [place, photo] of photos.entries()) {
    const shown = await drop(page, photo);
    const shares = expected[place];
    const likeliest = Object.entries(shares).sort((one, other) => other[1] - one[1]);
    assert.equal(shown.error, "");
    assert.equal(shown.rows[0][0], likeliest[0][0], `${photo}: another class than in Python`);
    const apart = Math.max(...shown.rows.map(([name, share]) => Math.abs(share - shares[name])));
    assert.ok(apart < 0.02, `${photo}: probabilities differ by ${apart}`);
    console.log(`${shown.state}; probabilities differ from Python's by ${apart.toExponential(1)} at most`);
  }
  const wrong = join(tmpdir(), "no-photo.txt");
  await writeFile(wrong, "no photo");
  assert.match((await drop(page, wrong)).error, /no-photo.txt is no image/);
  assert.deepEqual(complaints, []);
  assert.deepEqual(asked.filter((each) => !each.startsWith(address) && !each.startsWith("data:")), []);
  await writeFile(join(dist, "model.onnx"), "no network");
  await page.reload();
  await page.waitForFunction(() => /ONNX file/.test(document.getElementById("error").textContent));
  console.log(`${photos.length} photos: the same classes as in Python; in ${await browser.version()}`);
} finally {
  await browser.close();
  server.close();
}

/** Drop a file on the page, and read what stands there then. */
async function drop(page, file) {
  const content = (await readFile(file)).toString("base64");
  await page.evaluate(
    (name, base64) => {
      const transfer = new DataTransfer();
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      transfer.items.add(new File([bytes], name));
      document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
    },
    basename(file),
    content,
  );
  const done = () => document.getElementById("error").textContent || document.querySelector("#classes tr");
  await page.waitForFunction(done);
  return page.evaluate(() => ({
    state: document.getElementById("state").textContent,
    error: document.getElementById("error").textContent,
    rows: [...document.querySelectorAll("#classes tr")].map((line) => [line.cells[0].textContent, Number(line.dataset.share)]),
  }));
}
