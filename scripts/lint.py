#!/usr/bin/env python3
"""lint.py CHECK: the checks of scripts/lint.sh that are more than a command. Prints FILE:LINE: what was found.

  columns     no line of C is longer than 100 characters
  words DIR   writes the text for codespell to DIR, each line under its line number: documents; comments; the strings
              of src/cli, which are the tool's help and messages
  exports     a function that a header of src/ or lab/ declares is used by another .c file there, or by its own and by
              a test or fuzz target of it. Names that begin with ggml_ are ggml's: libllama calls them
  claims      "FILE is the only file that includes X" and "The only file that includes X" (the file with that text,
              or its .c) are true for src/ and lab/, or for the named directory ("the only file of lab/eval that").
              X is a header of another library, or a directory of headers with its slash
  links       links of Markdown files lead to files and headings that exist; so do the names of documents in comments
              with a directory, and of those in capitals
  limits      the limit of a buffer is not SIZE_MAX or (size_t)-1, or a part of it; a #define called LIMIT_*, *_MAX_* or
              *_FILE_BYTES of src/ is in src/base/limits.h or src/serve/serve_limits.h; files_read and
              files_read_lines get limits by name
"""
import io
import os
import re
import subprocess
import sys
import tokenize

LIMIT_FILES = ("src/base/limits.h", "src/serve/serve_limits.h")
COLUMNS = 100


def tree(*patterns):
    """The files that are tracked, or are new and not ignored."""
    listed = subprocess.run(["git", "ls-files", "-co", "-z", "--exclude-standard", "--", *patterns],
                            check=True, capture_output=True, text=True).stdout
    return sorted({name for name in listed.split("\0") if name and os.path.isfile(name)})


def read(name):
    with open(name, encoding="utf-8", errors="replace") as file:
        return file.read()


def line_at(text, at):
    return text.count("\n", 0, at) + 1


def found(name, line, what):
    print(f"{name}:{line}: {what}")


# ---- C: code without comments and strings, and the other way round ------------------------------

PIECE = re.compile(r'(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*")|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def code(text):
    return PIECE.sub(lambda m: blank(m.group()), text)


def only(text, *kinds):
    """Only the comments, or strings, each in its place."""
    out, at = [], 0
    for m in PIECE.finditer(text):
        out.append(blank(text[at:m.start()]))
        out.append(m.group() if m.lastgroup in kinds else blank(m.group()))
        at = m.end()
    return "".join(out) + blank(text[at:])


# ---- columns ------------------------------------------------------------------------------------

def columns():
    for name in tree("*.c", "*.h"):
        for number, line in enumerate(read(name).split("\n"), 1):
            if len(line) > COLUMNS:
                found(name, number, f"{len(line)} columns, {COLUMNS} at most")


# ---- words --------------------------------------------------------------------------------------

def python_words(text):
    """Comments, and strings of several lines."""
    lines = [""] * (text.count("\n") + 1)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and '"""' in token.string):
            for i, line in enumerate(token.string.split("\n")):
                lines[token.start[0] - 1 + i] += line
    return "\n".join(lines)


def hash_comments(text):
    return re.sub(r"(?m)^(?:(?!(?:^|\s)#).)*", lambda m: blank(m.group()), text)


def words(directory):
    for name in tree():
        text, ending = None, os.path.splitext(name)[1]
        if ending in (".c", ".h"):
            text = only(read(name), "comment", *(["string"] if name.startswith("src/cli/") else []))
        elif ending == ".md" or name.startswith(("completions/", "web/")):
            text = read(name)
        elif ending == ".1":
            text = re.sub(r"^\.[A-Z][a-z]|\\[&-]|\\f.", " ", read(name), flags=re.M)
        elif ending == ".py":
            text = python_words(read(name))
        elif ending in (".sh", ".cmake", ".yml") or os.path.basename(name) in ("CMakeLists.txt", "Dockerfile", "Makefile"):
            text = hash_comments(read(name))
        if text and text.strip():
            copy = os.path.join(directory, name)
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            with open(copy, "w", encoding="utf-8") as file:
                file.write(text)


# ---- exports ------------------------------------------------------------------------------------

DECLARED = re.compile(r"^(?!static\b|typedef\b)[A-Za-z_][\w\s*]*?[\s*](\w+)\s*\([^;{}]*\)[^;{}()]*(?:\(\([^;{}]*\)\))?\s*;",
                      re.M)


def exports():
    sources = {name: code(read(name)) for name in tree("src/*.[ch]", "lab/*.[ch]")}
    tests = " ".join(code(read(name)) for name in tree("tests/*.[ch]", "fuzz/*.[ch]"))
    tested = set(re.findall(r"\w+", tests))
    units = {name: re.findall(r"\w+", text) for name, text in sources.items() if name.endswith(".c")}
    users = {}
    for name, tokens in units.items():
        for token in tokens:
            users.setdefault(token, {}).setdefault(name, 0)
            users[token][name] += 1
    for name, text in sources.items():
        if not name.endswith(".h"):
            continue
        for m in DECLARED.finditer(text):
            function = m.group(1)
            inside = text[:m.start()].count("{") - text[:m.start()].count("}")
            if inside or function.startswith("ggml_"):
                continue
            defined = re.compile(r"^[A-Za-z_][^;{}()#]*\b" + function + r"\s*\([^;{}]*\)\s*\{", re.M)
            uses = users.get(function, {})
            own = [unit for unit in uses if defined.search(sources[unit])]
            if set(uses) - set(own):
                continue
            line = line_at(text, m.start(1))
            if not any(uses[unit] > 1 for unit in own):
                found(name, line, f"{function} is used by " + ("tests alone" if function in tested else "nobody"))
            elif function not in tested:
                found(name, line, f"{function} is used by {own[0]} alone: static")


# ---- claims -------------------------------------------------------------------------------------

CLAIM = re.compile(r"(?:(?P<who>\S+(?:(?:, \S+)* and \S+)?) (?:is|are) )?[Tt]he only files?(?: of (?P<where>\S+))? that "
                   r"(?P<verb>\w+)(?: (?P<what>[^.;:,\s]\S*))?")


def claims():
    sources = {name: read(name) for name in tree("src/*.[ch]", "lab/*.[ch]")}
    includes = {name: re.findall(r"^#include\s*<([^>]+)>", text, re.M) for name, text in sources.items()}
    texts = {name: only(text, "comment") for name, text in sources.items()}
    texts["CONTRIBUTING.md"] = read("CONTRIBUTING.md")
    for name, text in texts.items():
        plain = re.sub(r"^ \* ", "   ", text.replace("`", ""), flags=re.M)
        positions = [m.start() for m in re.finditer(r"\S+", plain)]
        flat = " ".join(plain.split())
        for m in CLAIM.finditer(flat):
            line = line_at(plain, positions[flat.count(" ", 0, m.start())])
            what = (m["what"] or "").rstrip(".,;:")
            if not m["verb"].startswith("include") or not re.search(r"\.h$|/$", what):
                found(name, line, f"a claim that cannot be checked: \"{m.group()}\"; say which header is included")
                continue
            where = (m["where"] or "").rstrip("/") + "/" if m["where"] else ""
            true = {file for file, listed in includes.items() if file.startswith(where) and
                    any(h == what or h.endswith("/" + what) or (what.endswith("/") and h.startswith(what)) for h in listed)}
            if m["who"]:
                said = re.split(r",? and |, ", m["who"])
                right = len(said) == len(true) and all(any(("/" + file).endswith("/" + s) for file in true) for s in said)
            else:
                right = true == {name} or true == {name[:-1] + "c"}
            if not right:
                listed = sorted(true)[:5] or ["nobody"]
                found(name, line, f"not so: {what} is included by {', '.join(listed)}{', ...' if len(true) > 5 else ''}")


# ---- links --------------------------------------------------------------------------------------

def markdown(text):
    """Without code: fences, and spans between backquotes."""
    text = re.sub(r"(?ms)^( *)(```+|~~~+).*?^ *\2[^\n]*$", lambda m: blank(m.group()), text)
    return re.sub(r"(?s)(`+)(?!`).*?[^`]\1(?!`)", lambda m: blank(m.group()), text)


def anchors(name):
    """GitHub's anchors of the headings."""
    seen, out = {}, set()
    fences = re.sub(r"(?ms)^( *)(```+|~~~+).*?^ *\2[^\n]*$", lambda m: blank(m.group()), read(name))
    for heading in re.findall(r"(?m)^#{1,6} +(.*?) *#*$", fences):
        heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = seen[slug] = seen.get(slug, -1) + 1
        out.add(f"{slug}-{count}" if count else slug)
    return out | set(re.findall(r'(?:id|name)="([^"]+)"', fences))


LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^ {0,3}\[[^\]]+\]:\s+(\S+)|\b(?:src|href|srcset)=\"([^\"]+)\"", re.M)


def links():
    files = tree()
    known = set(files) | {os.path.dirname(name) for name in files}
    known |= {os.path.dirname(name) for name in known} | {""}
    known |= {os.path.dirname(name) for name in known}
    for name in tree("*.md"):
        text = markdown(read(name))
        for m in LINK.finditer(text):
            target = next(group for group in m.groups() if group)
            if re.match(r"[a-z][a-z0-9+.-]*:|//", target):
                continue
            path, _, heading = target.partition("#")
            there = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
            line = line_at(text, m.start())
            if there not in known and there != ".":
                found(name, line, f"{target}: no such file")
            elif heading and there.endswith(".md") and heading not in anchors(there):
                found(name, line, f"{target}: no such heading")
    for name in tree("*.c", "*.h", "*.sh", "*.py", "*.cmake", "CMakeLists.txt"):
        text = read(name)
        text = only(text, "comment") if name[-2:] in (".c", ".h") else \
            python_words(text) if name.endswith(".py") else hash_comments(text)
        for m in re.finditer(r"(?<![\w/.$\"'{}*-])(?:[\w.-]+/[\w./-]*\w|[A-Z]+)\.md\b", text):
            near = os.path.normpath(os.path.join(os.path.dirname(name), m.group()))
            if m.group() not in known and near not in known:
                found(name, line_at(text, m.start()), f"{m.group()}: no such file")


# ---- limits -------------------------------------------------------------------------------------

ENDLESS = re.compile(r"(?:\bSIZE_MAX|\(size_t\) *-1) */ *\d|\bbuf_init\([^;]*?,[^;]*(?:\bSIZE_MAX|\(size_t\) *-1)[^;]*;")
NAMED = re.compile(r"^#define +(LIMIT_\w+|\w+_MAX_\w+|\w+_FILE_BYTES)\b", re.M)
LITERAL = re.compile(r"\bfiles_read(?:_lines)?\([^;,]*,[^;,]*<<")


def limits():
    for name in tree("src/*.[ch]", "lab/*.[ch]"):
        if name in LIMIT_FILES:
            continue
        text = code(read(name))
        for m in ENDLESS.finditer(text):
            found(name, line_at(text, m.start()), "a buffer without a limit: LIMIT_NONE of base/limits.h")
        if name.startswith("src/"):
            for m in NAMED.finditer(text):
                found(name, line_at(text, m.start()), f"{m.group(1)} is not in {' or '.join(LIMIT_FILES)}")
            for m in LITERAL.finditer(text):
                found(name, line_at(text, m.start()), "a limit without a name")


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    checks = {"columns": columns, "words": words, "exports": exports, "claims": claims, "links": links,
              "limits": limits}
    if len(sys.argv) < 2 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    checks[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
