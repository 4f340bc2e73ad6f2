"""Times one subject in this process and prints its cost as a line of JSON.

`bench.py` starts this once for each measurement, so that every subject has a process, a core and
a memory of its own.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from timing import Cost, memory_bandwidth, one_core


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "subject", choices=("bandwidth", "operators", "agent", "part", "mimi", "moshi")
    )
    parser.add_argument("--bundle", default="cafe")
    parser.add_argument("--which", default="", help="part: network, codec; mimi: encode, decode")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--recording", type=Path)
    parser.add_argument("--shape", type=json.loads, default={}, help="moshi: its shape")
    asked = parser.parse_args()
    one_core()
    if asked.subject == "bandwidth":
        print(json.dumps({"bytes_per_second": memory_bandwidth()}))
    elif asked.subject == "operators":
        from graph import operators

        print(json.dumps(operators(asked.bundle, asked.frames)))
    else:
        print(json.dumps(_cost(asked).as_dict()))


def _cost(asked: argparse.Namespace) -> Cost:
    # Each subject's libraries are loaded only in its own process: memory is part of the figure.
    if asked.subject == "agent":
        from ours import whole

        return whole(asked.bundle, asked.batch, asked.frames, asked.warm_up, asked.recording)
    if asked.subject == "part":
        from graph import part

        return part(asked.bundle, asked.which, asked.frames, asked.warm_up)
    from peers import mimi, moshi_lm

    if asked.subject == "mimi":
        return mimi(asked.which, asked.frames, asked.warm_up)
    return moshi_lm(**asked.shape, batch=asked.batch, frames=asked.frames, warm_up=asked.warm_up)


if __name__ == "__main__":
    main()
