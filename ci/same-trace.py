#!/usr/bin/env python3
"""Compares what a program has done in two runs: each instruction, and the cache line of each address.

usage: ci/same-trace.py PROGRAM TRACE TRACE [FUNCTION...]

The traces are by valgrind --tool=lackey --trace-mem=yes. Only what PROGRAM itself does is compared,
not its libraries. Prints the function of each difference, by its line tables, and fails if there is
one, but for one address in each FUNCTION.
"""

import itertools
import subprocess
import sys

LINE = 64
# Where valgrind places a program that may be anywhere, and its libraries.
BASE, END = 0x108000, 0x4000000


def accesses(path):
    """Yields the instruction of each access, its kind, and its address."""
    at = 0
    with open(path) as trace:
        for text in trace:
            if not text.startswith("=="):
                kind, place = text.split()
                address = int(place.partition(",")[0], 16)
                at = address if kind == "I" else at
                if at < END:
                    yield at, kind, address


def function(program, at):
    """The names of the functions that were compiled into each other, the outermost last."""
    command = ["addr2line", "-ifCe", program, hex(at - BASE)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return " in ".join(name.rpartition("::")[2] for name in lines[::2])


def main(program, first, second, *allowed):
    places, count = [], 0
    for one, other in itertools.zip_longest(accesses(first), accesses(second)):
        count += 1
        if one is None or other is None or one[:2] != other[:2]:
            # Behind another instruction nothing can be compared any more.
            places.append((one or other)[0])
            break
        if one[2] // LINE != other[2] // LINE:
            places.append(one[0])
    allowed, failed = list(allowed), False
    for at in places[:20]:
        name = function(program, at)
        is_allowed = name.rpartition(" ")[2] in allowed
        if is_allowed:
            allowed.remove(name.rpartition(" ")[2])
        failed |= not is_allowed
        print(f"{'differs, as it may' if is_allowed else 'differs'}: {name}")
    print(f"{count} instructions and accesses were compared, {len(places)} differ")
    return failed or len(places) > 20


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
