#!/usr/bin/env python3
"""Prints the deepest stack below each public function, by what the compiler knows.

    stack.py countersign.ci    from gcc -fcallgraph-info=su

Functions of the C library, and of the compiler's own, take what is assumed for each: 32 bytes.
"""
import re
import sys

ELSEWHERE = 32


def graph(text):
    sizes, calls = {}, {}
    for name, size in re.findall(r'node: { title: "([^"]+)" label: "[^"]*\\n(\d+) bytes', text):
        sizes[name] = int(size)
    for caller, callee in re.findall(r'sourcename: "([^"]+)" targetname: "([^"]+)"', text):
        calls.setdefault(caller, set()).add(callee)
    return sizes, calls


def deepest(name, sizes, calls, above=()):
    """The bytes, and by which functions."""
    assert name not in above, 'recursion: {}'.format(name)
    below = [deepest(each, sizes, calls, (*above, name)) for each in sorted(calls.get(name, ()))]
    size, path = max(below, default=(0, []))
    return sizes.get(name, ELSEWHERE) + size, [name.split(':')[-1], *path]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1]) as file:
        sizes, calls = graph(file.read())
    public = [name for name in sizes if ':' not in name]
    for size, path in sorted(deepest(name, sizes, calls) for name in public):
        print('{:5} bytes  {}'.format(size, ' > '.join(path)))


if __name__ == '__main__':
    main()
