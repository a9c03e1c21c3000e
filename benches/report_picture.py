#!/usr/bin/env python3
"""Draws the main plots of a page of `load --report` as one picture for the manual.

usage: countersign load … --report page.html
       benches/report_picture.py page.html > src/manual/report.svg

The colors are readable on light and on dark ground: in a page, the picture can't know which it is.
"""

import sys
import xml.etree.ElementTree as xml

SVG, XHTML = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xhtml}"

# Each plot, and where it begins and how wide it is between its axes.
PLOTS = [
    ("throughput", 60, 610),
    ("latency", 60, 610),
    ("percentiles", 60, 250),
    ("histogram", 420, 250),
]
WIDTH, HEAD, FOOT = 720, 44, 56

STYLE = """
.load text{font:12px sans-serif;fill:currentColor}.load .head{font-weight:600;font-size:14px}
.load .grid{stroke:currentColor;opacity:.15}.load .base,.load .tick{stroke:currentColor;opacity:.5}
.load .rule{stroke:currentColor;stroke-dasharray:5 4}.load .shade{fill:currentColor;opacity:.08}
.load .line{fill:none;stroke:var(--mark);stroke-width:1.75;stroke-linejoin:round;
vector-effect:non-scaling-stroke}.load .area{fill:var(--mark);opacity:.2}
.load .bar,.load .dot{fill:var(--mark)}.load text.end{fill:var(--mark);font-weight:600}
.load .blue{--mark:#3d8bd4}.load .green{--mark:#2f9e73}.load .orange{--mark:#d0654f}
.load .purple{--mark:#b07ad1}.load .gray{--mark:#8c8c8c}
svg:root{color:#24292f}@media(prefers-color-scheme:dark){svg:root{color:#d8dee4}}
"""


def figure(page, name):
    """The title of a plot, what its vertical axis has, and the plot."""
    found = next(each for each in page.iter(XHTML + "figure") if each.get("id") == name)
    plot = found.find(SVG + "svg")
    axis = next(each for each in found.iter(XHTML + "p") if each.get("class") == "axis")
    return found.find(f".//{XHTML}h2").text, axis.text, plot


def text(content, x, y, **attributes):
    element = xml.Element(SVG + "text", {"x": str(x), "y": str(y), **attributes})
    element.text = content
    return element


def without_hints(element):
    """Removes what only a pointer shows."""
    for child in list(element):
        if child.tag == SVG + "title":
            element.remove(child)
        else:
            without_hints(child)


def draw(page):
    picture = xml.Element(SVG + "svg", {"role": "img", "class": "load"})
    # Alone on its line, the tag begins markup, in which a page of the manual changes nothing.
    picture.text = "\n"
    xml.SubElement(picture, SVG + "title").text = "A report of countersign load"
    xml.SubElement(picture, SVG + "style").text = STYLE.replace("\n", "")
    top, bottom = 0, 0
    for name, left, width in PLOTS:
        title, axis, plot = figure(page, name)
        # A plot in the second column is as high as the one beside it.
        top = bottom if left < WIDTH / 2 else top
        height = int("".join(filter(str.isdigit, plot.get("style")))) * 3 // 4
        bottom = top + HEAD + height + FOOT
        picture.append(text(title, left - 60, top + 14, **{"class": "head"}))
        picture.append(text(axis, left - 60, top + 31))
        plot.attrib.clear()
        place = {"x": left, "y": top + HEAD, "width": width, "height": height}
        plot.attrib.update({key: str(value) for key, value in place.items()})
        plot.set("overflow", "visible")
        without_hints(plot)
        picture.append(plot)
    picture.set("viewBox", f"0 0 {WIDTH} {bottom - FOOT + 40}")
    return picture


def main():
    xml.register_namespace("", SVG.strip("{}"))
    page = xml.parse(sys.argv[1]).getroot()
    # An empty line would end the picture in a page of the manual.
    lines = xml.tostring(draw(page), encoding="unicode").splitlines()
    print("\n".join(line for line in lines if line.strip()))


if __name__ == "__main__":
    main()
