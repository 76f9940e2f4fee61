"""What onnxruntime in Python gives: `python expected.py FILE.onnx PHOTO ...` prints the probabilities as JSON."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

file, *photos = sys.argv[1:]
session = onnxruntime.InferenceSession(file)
notes = session.get_modelmeta().custom_metadata_map
mode = {1: "L", 3: "RGB"}[json.loads(notes["model_lego.takes"])["shape"][3]]
for photo in photos:
    picture = ImageOps.exif_transpose(Image.open(photo)).convert(mode)
    (shares,) = session.run(None, {"images": np.atleast_3d(np.asarray(picture))[None]})
    print(json.dumps(dict(zip(json.loads(notes["model_lego.classes"]), shares[0].tolist(), strict=True))))
