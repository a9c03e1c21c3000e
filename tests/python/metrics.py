"""Reads a page of metrics from standard input, strictly by the text format 0.0.4 of Prometheus
(https://prometheus.io/docs/instrumenting/exposition_formats/), and by its rules for names and
histograms. Says what is wrong with the first line that is."""

import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
VALUE = r"(?:[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?Inf|NaN)"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL})(?:,{LABEL})*)\}})? ({VALUE})(?: (-?[0-9]+))?")


def fail(number, line, why):
    sys.exit(f"line {number}: {why}: {line!r}")


def parse(text):
    families, helps, seen, done = {}, set(), set(), set()
    current = None
    if not text.endswith("\n"):
        sys.exit("the last line has no end")
    for number, line in enumerate(text[:-1].split("\n"), 1):
        comment = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line)
        if comment:
            kind, name, rest = comment.groups()
            if name != current:
                if name in done:
                    fail(number, line, "the lines of a metric stand together")
                done.add(name)
                current = name
            if kind == "HELP":
                if name in helps:
                    fail(number, line, "a second HELP")
                helps.add(name)
            else:
                if name in families or rest not in ("counter", "gauge", "histogram"):
                    fail(number, line, "a second TYPE, or none that there is")
                families[name] = (rest, [])
            continue
        sample = SAMPLE.fullmatch(line)
        if not sample:
            fail(number, line, "no sample")
        name, labels, value = sample.group(1), sample.group(2) or "", sample.group(7)
        if current not in families or current not in helps:
            fail(number, line, "no HELP or no TYPE stands before it")
        kind, samples = families[current]
        ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        if name not in [current + end for end in ends]:
            fail(number, line, f"it isn't one of {current}")
        pairs = [(label, raw) for label, raw in re.findall(LABEL, labels)]
        if len({label for label, _ in pairs}) != len(pairs):
            fail(number, line, "a label stands twice")
        key = (name, tuple(sorted(pairs)))
        if key in seen:
            fail(number, line, "it stands twice")
        seen.add(key)
        samples.append((name, dict(pairs), float(value)))
    return families


def check(families):
    for name, (kind, samples) in families.items():
        if not samples:
            sys.exit(f"{name} has no sample")
        if (kind == "counter") != name.endswith("_total"):
            sys.exit(f"{name} is a {kind}")
        if kind == "counter" and any(value < 0 for _, _, value in samples):
            sys.exit(f"{name} is less than nothing")
        if kind == "histogram":
            buckets = [(float(lab["le"]), value) for _, lab, value in samples if "le" in lab]
            rest = {part: value for part, lab, value in samples if "le" not in lab}
            counts = [count for _, count in buckets]
            if buckets != sorted(buckets) or counts != sorted(counts):
                sys.exit(f"{name}: the buckets don't grow")
            if buckets[-1] != (float("inf"), rest[name + "_count"]) or name + "_sum" not in rest:
                sys.exit(f"{name}: the last bucket isn't the count, or there is no sum")


if __name__ == "__main__":
    check(parse(sys.stdin.read()))
