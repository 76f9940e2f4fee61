// The metadata of an ONNX file: onnxruntime-web does not give it, but a file of protobuf is a list of numbered fields,
// of which metadata_props (14) holds entries of a key (1) and a value (2).

const METADATA = 14, KEY = 1, VALUE = 2;

/** Names and texts in the bytes of an ONNX file. */
export function metadataOf(bytes) {
  const texts = {};
  for (const [field, entry] of fields(bytes)) {
    if (field !== METADATA) continue;
    const { [KEY]: key, [VALUE]: value = "" } = Object.fromEntries(
      [...fields(entry)].map(([number, text]) => [number, new TextDecoder().decode(text)]),
    );
    texts[key] = value;
  }
  return texts;
}

/** Numbers and bytes of the fields that have a length; others are passed over. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("the ONNX file ends too early");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint(), kind = tag & 7;
    if (kind === 0) varint();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else if (kind === 2) {
      const length = varint();
      if (at + length > bytes.length) throw new Error("the ONNX file ends too early");
      yield [Math.floor(tag / 8), bytes.subarray(at, at + length)];
      at += length;
    } else throw new Error("this is no ONNX file");
  }
}
