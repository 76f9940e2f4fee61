"""The same cases drawn by atheris, which is led by the lines of our code that they reach.

`python -m tests.fuzz.files.guided [SECONDS] [SEED]`, with what is in `requirements.txt` beside.
"""

import os
import sys
import time

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["model_lego"]):
    from tests.fuzz.files.__main__ import cases, summary
    from tests.fuzz.files.targets import TARGETS
    from tests.fuzz.files.trial import Seen


def main(seconds: int = 600, seed: int = 0) -> None:
    """Try for a while; the process ends with what failed, or with 0."""
    seen = {name: Seen() for name in TARGETS}
    tests = [cases(target, seen[name], seed=seed).hypothesis.fuzz_one_input for name, target in TARGETS.items()]  # type: ignore[attr-defined]

    until = time.monotonic() + seconds

    def one_case(data: bytes) -> None:
        if time.monotonic() > until:
            print(summary(seen), flush=True)
            os._exit(0)  # atheris would end the process without a word
        if data:
            tests[data[0] % len(tests)](data[1:])

    # hypothesis needs some bytes for a case, so that long ones are drawn from the start
    atheris.Setup(["fuzz", f"-seed={seed + 1}", "-max_len=4096", "-len_control=0", "-timeout=120"], one_case)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
