"""Ways to damage a file, drawn by hypothesis: bytes, values of JSON, members of archives."""

import copy
import io
import json
import warnings
import zipfile
from typing import Any

from hypothesis import strategies as st

#: Values that stand in the place of others.
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 255, 4096, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 10**30),
    *(0.0, -0.5, 1e-300, 1e308, "", "a", "0", "..", "/", "a/b", "\0", "\x1b[31m", "\u202e", "é" * 40, "x" * 5000),
    *(
        [],
        [[]],
        [0],
        ["a"],
        [None],
        [1, 2, 3, 4],
        [0] * 200,
        {},
        {"a": 1},
        {"": {}},
        {"a": {"b": [1]}},
        [[[[[[[[]]]]]]]],
    ),
    *("zoo:vgg16", "zoo:resnet18", "torchvision:resnet18", "hf:a/b", "python:a.py:B", "F32", "BF16", "I64"),
)
odd = st.sampled_from(ODD) | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False)
payload = st.binary(max_size=24) | st.sampled_from(
    [b"\0" * 8, b"\xff" * 8, b"{}", b"[" * 300, b"{" * 300, b"\n", b"-", b": "]
)


@st.composite
def of_bytes(draw, data):
    """The bytes with up to four places damaged, cut off, or others altogether."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=400))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        how, piece = draw(st.sampled_from(["replace", "insert", "remove", "cut", "repeat"])), draw(payload)
        if how == "replace":
            data = data[:place] + piece + data[place + len(piece) :]
        elif how == "insert":
            data = data[:place] + piece + data[place:]
        elif how == "remove":
            data = data[:place] + data[place + draw(st.integers(1, 50)) :]
        elif how == "repeat":
            data = data[:place] + data[place : place + 40] * draw(st.integers(2, 50)) + data[place:]
        else:
            data = data[:place]
    return data


def places(value, here=()):
    """The place of each value in a JSON value."""
    yield here
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*here, key))


@st.composite
def of_json(draw, value):
    """The value with up to three others in it: odd ones, copies of its own, missing or more keys."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        known = [place for place in places(value) if place]
        if not known:
            return value
        *above, last = draw(st.sampled_from(known))
        holder = value
        for step in above:
            holder = holder[step]
        how = draw(st.sampled_from(["odd", "odd", "odd", "other", "remove", "more"]))
        if how == "remove":
            del holder[last]
        elif how == "more" and isinstance(holder, dict):
            holder[draw(st.text(max_size=8))] = copy.deepcopy(draw(odd))
        elif how == "other":
            other = value
            for step in draw(st.sampled_from(known)):
                other = other[step]
            holder[last] = copy.deepcopy(other)
        else:
            holder[last] = copy.deepcopy(draw(odd))  # it is damaged in its turn
    return value


@st.composite
def of_json_text(draw, text):
    """The same of a text, or its bytes damaged."""
    if draw(st.booleans()):
        return draw(of_bytes(text))
    return json.dumps(draw(of_json(json.loads(text)))).encode()


@st.composite
def of_safetensors(draw, data):
    """The header of a file of safetensors damaged as JSON, with its true length or another; or bytes of the file."""
    if draw(st.integers(0, 3)) == 0:
        return draw(of_bytes(data))
    size = int.from_bytes(data[:8], "little")
    header = draw(of_json_text(data[8 : 8 + size]))
    length = len(header) if draw(st.integers(0, 9)) else draw(st.sampled_from([0, 1, 2**20, 2**40, 2**63, 2**64 - 1]))
    return length.to_bytes(8, "little") + header + data[8 + size :]


@st.composite
def of_archive(draw, data):
    """A zip with a member damaged, missing, twice or new and packed anew; or the bytes of the zip."""
    if draw(st.integers(0, 2)) == 0:
        return draw(of_bytes(data))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    place = draw(st.integers(0, len(members) - 1))
    name, content = members[place]
    how = draw(st.sampled_from(["damage", "damage", "damage", "remove", "twice", "name"]))
    if how == "damage":
        members[place] = (name, draw(of_bytes(content)))
    elif how == "remove":
        del members[place]
    elif how == "twice":
        members.append((name, draw(of_bytes(content))))
    else:
        members[place] = (draw(st.sampled_from(["../x.npy", "/x", "", "data.pkl", "x_train.npy", "a" * 300])), content)
    packed = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    whole = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(whole, "w", packed) as archive:
        warnings.simplefilter("ignore")  # a name that is there twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, packed)
    return whole.getvalue()
