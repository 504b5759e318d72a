#!/usr/bin/env bash
# README and the pages of docs/: examples marked <!-- run --> print what they say, links lead
# somewhere, and options and commands that are named exist. CONTRIBUTING.md states the marks.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not here"; exit 77; }
test="README and docs"

# pages.py WHAT FILE...: one finding a line; see each function.
cat >"$work/pages.py" <<'PY'
import os, re, shlex, sys

FENCE = re.compile(r"^ {0,3}```(\w*)\s*$")

def blocks(path):
    """(line, language, text, marked) of the fenced blocks; marked: <!-- run --> stands before."""
    inside, before = None, ""
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        fence = FENCE.match(line)
        if fence and inside is None:
            inside = [number, fence.group(1), "", before == "<!-- run -->"]
        elif fence:
            yield tuple(inside)
            inside = None
            before = ""
        elif inside is not None:
            inside[2] += line
        elif line.strip():
            before = line.strip()

def prose(path):
    """The text outside of fenced blocks."""
    out, inside = [], False
    for line in open(path, encoding="utf-8"):
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            out.append(line)
    return "".join(out)

def anchor(heading):
    """What a heading is called in links."""
    words = re.sub(r"[`*]", "", heading.strip()).lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")

def anchors(path):
    return {anchor(h) for h in re.findall(r"^#+ (.*)$", prose(path), re.M)}

def examples(path, out):
    """Writes N.sh and N.want for each marked example, and prints "N LINE"."""
    found = list(blocks(path))
    for i, (line, language, text, marked) in enumerate(found):
        if not marked:
            continue
        if language != "sh" or i + 1 == len(found) or found[i + 1][1] != "text":
            sys.exit(f"{path}:{line}: a marked example is a sh block with a text block after it")
        for name, content in (("sh", text), ("want", found[i + 1][2])):
            with open(os.path.join(out, f"{line}.{name}"), "w", encoding="utf-8") as file:
                file.write(content)
        print(line)

def links(path):
    """Links that lead nowhere. Paths in `...` that begin like ours must exist as well."""
    text, top = prose(path), os.environ["TOP"]
    for target in re.findall(r"\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"", text):
        target = target[0] or target[1]
        if re.match(r"(https?|mailto):", target):
            continue
        name, _, part = target.partition("#")
        file = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(file):
            print(f"{path}: {target}: no such file")
        elif part and part not in anchors(file):
            print(f"{path}: {target}: no such heading")
    import glob
    for name in re.findall(r"`((?:src|include|tests|scripts|docs|prompts|models|examples|fuzz|cmake|completions)/"
                           r"[^`\s]*)`", text):
        if not glob.glob(os.path.join(top, name)):
            print(f"{path}: {name}: no such file")

def words_of(text):
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # an open quote: the rest is not ours to judge
        return text.split()

def commands(path):
    """What is said about s2a: lists of words that begin with "s2a", or with an option."""
    for _, language, text, _ in blocks(path):
        if language == "sh":
            text = re.sub(r"<<'?END'?.*?^END$", "", text.replace("\\\n", " "), flags=re.M | re.S)
            for line in re.split(r"\n|\||&&|;", text):
                words = words_of(line)
                while words and re.match(r"\w+=", words[0]):
                    words.pop(0)
                if words and words[0] == "s2a":
                    yield words
    for span in re.findall(r"`([^`\n]+)`|^    (s2a .*)$", prose(path), re.M):
        words = words_of(span[0] or span[1])
        if words and (words[0] == "s2a" or words[0].startswith("--")):
            yield words

def names(path):
    """Options and commands that the tool does not have."""
    known = os.environ["KNOWN"].split()
    for words in commands(path):
        if words[0] == "s2a" and len(words) > 1 and re.fullmatch(r"[a-z]+", words[1]) and \
                words[1] not in known:
            print(f"{path}: s2a {words[1]}: no such command")
        for word in words:
            option = word.split("=")[0]
            if re.fullmatch(r"--[a-z][a-z-]*", option) and option not in known:
                print(f"{path}: {option}: no such option")

def same(want, got):
    """Whether got is what want says; its line "..." stands for any lines."""
    lines = open(want, encoding="utf-8").read().split("\n")
    pattern = "".join(r"(?:.*\n)*?" if l == "..." else re.escape(l) + r"\n" for l in lines[:-1])
    text = open(got, encoding="utf-8").read()
    sys.exit(0 if re.fullmatch(pattern, text if text.endswith("\n") else text + "\n") else 1)

what, arguments = sys.argv[1], sys.argv[2:]
if what in ("links", "names"):
    for page in arguments:
        globals()[what](page)
else:
    globals()[what](*arguments)
PY
pages() { python3 "$work/pages.py" "$@"; }

# ---- the checks themselves can fail
export TOP=$top
KNOWN=$("$bin" --help | sed -n 's/^  \([a-z]\{1,\}\) .*/\1/p' | grep -vx s2a)
KNOWN+=" $(for c in $KNOWN; do "$bin" "$c" --help; done | grep -o -e '--[a-z][a-z-]*' | sort -u)"
KNOWN+=" help --help --version"
export KNOWN
printf '%s\n' '# A head' '[x](gone.md) [y](#a-head) [z](#b-head) `src/gone.c` `--gone` `s2a gone`' '```sh' \
    's2a ask --gone-too \' '   --json "--no option"' '```' >"$work/bad.md"
wrong() { # WHAT LINES: what is found in bad.md
    checks=$((checks + 1))
    local found
    found=$(pages "$1" "$work/bad.md" | sed 's/.*bad.md: //')
    [[ $found == "$2" ]] || fail "$1 finds: $found"
}
wrong links $'gone.md: no such file\n#b-head: no such heading\nsrc/gone.c: no such file'
wrong names $'--gone-too: no such option\n--gone: no such option\ns2a gone: no such command'
printf 'a\n...\nz\n' >"$work/want"
printf 'a\nb\nc\nz\n' >"$work/got"
check "... stands for lines" pages same "$work/want" "$work/got"
printf 'a\nb\nz\nc\n' >"$work/got"
check "a line too many is seen" bash -c '! python3 "$@"' - "$work/pages.py" same "$work/want" "$work/got"

# ---- the pages
cd "$top" || exit 1
all=(README.md README.zh-CN.md CONTRIBUTING.md THIRD-PARTY.md CHANGELOG.md docs/*.md prompts/README.md)
for what in links names; do
    checks=$((checks + 1))
    pages "$what" "${all[@]}" >"$work/found" || fail "$what: could not read the pages"
    while read -r line; do fail "$line"; done <"$work/found"
done

# ---- the examples: the tool is `s2a`; those of a page share a directory
mkdir "$work/bin"
ln -s "$bin" "$work/bin/s2a"
ran=0
for page in README.md docs/*.md; do
    here=$work/$(basename "$page" .md)
    mkdir "$here" "$here.files"
    pages examples "$top/$page" "$here.files" >"$work/examples" || fail "$page: its marks are wrong"
    while read -r line; do
        test="$page:$line" status=0
        (cd "$here" && PATH=$work/bin:$PATH bash -u "$here.files/$line.sh") >"$work/out" 2>&1 </dev/null ||
            status=$?
        : >"$work/err"
        want_status 0
        check "the example does not print what it says" pages same "$here.files/$line.want" "$work/out"
        ran=$((ran + 1))
    done <"$work/examples"
done
test="README and docs"
rm -f "$work/out"
checks=$((checks + 1))
((ran >= 5)) || fail "only $ran examples are marked <!-- run -->"
finish
