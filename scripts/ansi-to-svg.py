#!/usr/bin/env python3
"""Draws a program's terminal output as an SVG picture of the terminal.

    ansi-to-svg.py [--command TEXT] [--title TEXT] [--columns N] [FILE] > picture.svg

FILE (or standard input) is the captured output, UTF-8, escape sequences included. --command is shown above it, after a
"$ "; it may have line breaks. --columns is the least width; longer lines make the picture wider. docs/terminal.svg
is made like this, where s2a ask ... is the command that the picture shows:

    python3 tests/cli/on_terminal.py 92 stdout build/release/s2a ask ... </dev/null | scripts/ansi-to-svg.py ...

It understands bold, dim, underline, strike-through and the 16 foreground colours (SGR), carriage return and
"erase to the end of the line". Other escape sequences are ignored. Underlines and strike-throughs are drawn as lines,
because not every viewer draws a font's. Each run of characters has a fixed width, so that columns are aligned in
any monospaced font.
"""
import argparse
import re
import sys
import unicodedata
from xml.sax.saxutils import escape

CELL, LINE, FONT, PAD, BAR = 8.4, 19.0, 14, 18, 34
BACKGROUND, FOREGROUND = "#16181d", "#d8dee9"
COLOURS = ["#5c6370", "#ef6b73", "#8ccf7e", "#e5c07b", "#6cb6ff", "#c792ea", "#56c8d8", "#d8dee9",
           "#7f8796", "#ff8b92", "#a9e39c", "#f2d69b", "#93caff", "#dbb2f7", "#86dfea", "#ffffff"]
ESCAPE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")
PLAIN = {"bold": False, "dim": False, "underline": False, "strike": False, "colour": None}


def columns_of(char):
    """How many columns a character takes up."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def restyle(style, codes):
    """The style after ESC [ codes m."""
    style = dict(style)
    for code in (int(c or 0) for c in codes.split(";")):
        if code == 0:
            style = dict(PLAIN)
        elif code == 22:
            style["bold"] = style["dim"] = False
        elif code in (1, 2, 4, 9, 24, 29):
            style[{1: "bold", 2: "dim", 4: "underline", 9: "strike"}[code % 20]] = code < 20
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style["colour"] = code - 30 if code < 90 else code - 82
        elif code == 39:
            style["colour"] = None
    return style


def screen(text):
    """The lines of the screen, each a list of (character, style)."""
    lines, style, at, i = [[]], PLAIN, 0, 0
    while i < len(text):
        sequence = ESCAPE.match(text, i)
        if sequence:
            if sequence.group(2) == "m":
                style = restyle(style, sequence.group(1))
            elif sequence.group(2) == "K":
                del lines[-1][at:]
            i = sequence.end()
            continue
        char, i = text[i], i + 1
        if char == "\n":
            lines.append([])
            at = 0
        elif char == "\r":
            at = 0
        elif char == "\t":
            lines[-1] += [(" ", PLAIN)] * (8 - len(lines[-1]) % 8)
            at = len(lines[-1])
        elif char >= " ":
            lines[-1][at:at + 1] = [(char, style)]
            at += 1
    while lines and not lines[-1]:
        lines.pop()
    return lines


def runs(line):
    """(first column, columns, text, style) of each stretch of one style."""
    column, out = 0, []
    for char, style in line:
        width = columns_of(char)
        if out and out[-1][3] == style:
            out[-1][1] += width
            out[-1][2] += char
        else:
            out.append([column, width, char, style])
        column += width
    return out


def draw_run(column, width, text, style, y):
    """SVG of one run, y being the baseline."""
    colour = FOREGROUND if style["colour"] is None else COLOURS[style["colour"]]
    opacity = ' opacity="0.8"' if style["dim"] else ""
    x, long = PAD + column * CELL, width * CELL
    weight = ' font-weight="bold"' if style["bold"] else ""
    parts = []
    for words in re.finditer(r"[^ ]+(?: [^ ]+)*", text):  # viewers collapse spaces
        before, inside = (sum(map(columns_of, t)) * CELL for t in (text[:words.start()], words.group()))
        parts.append(f'<text x="{x + before:.1f}" y="{y:.1f}" textLength="{inside:.1f}" '
                     f'lengthAdjust="spacingAndGlyphs" fill="{colour}"{weight}{opacity}>{escape(words.group())}</text>')
    for name, rise in (("underline", -3.0), ("strike", 4.6)):
        if style[name]:
            parts.append(f'<rect x="{x:.1f}" y="{y - rise - 0.6:.1f}" width="{long:.1f}" height="1.2" '
                         f'fill="{colour}"/>')
    return parts


def picture(lines, columns, title):
    """The whole SVG."""
    columns = max([columns] + [sum(columns_of(c) for c, _ in line) for line in lines])
    width, height = 2 * PAD + columns * CELL, BAR + PAD + len(lines) * LINE + PAD / 2
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
           f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
           f"<title>{escape(title)}</title>",
           f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>']
    out += [f'<circle cx="{PAD + 6 + 20 * i}" cy="18" r="6" fill="{c}"/>'
            for i, c in enumerate(("#ef6b73", "#e5c07b", "#8ccf7e"))]
    out.append(f'<g font-size="{FONT}" '
               'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',monospace">')
    for row, line in enumerate(lines):
        for run in runs(line):
            out += draw_run(*run, BAR + PAD + row * LINE)
    return "\n".join(out + ["</g>", "</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--command", default="", help="shown above the output, after a prompt")
    parser.add_argument("--title", default="A terminal", help="what the picture shows, for those who cannot see it")
    parser.add_argument("--columns", type=int, default=0, help="least width")
    parser.add_argument("file", nargs="?", help="captured output (default: standard input)")
    args = parser.parse_args()
    with open(args.file, "rb") if args.file else sys.stdin.buffer as source:
        text = source.read().decode("utf-8", "replace")
    if args.command:
        text = "\x1b[1;32m$\x1b[0m " + args.command + "\n\n" + text
    sys.stdout.write(picture(screen(text), args.columns, args.title))


if __name__ == "__main__":
    main()
