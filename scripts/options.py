#!/usr/bin/env python3
"""Writes the files that depend on the option table (src/cli/option_table.c, lab/cmd_*.c): completions/,
docs/schema/config.schema.json, and the part of docs/s2a.1 between its markers.

usage: scripts/options.py [--check] [TOOL]
  --check  write nothing; name the files that are out of date, and exit with 1 if there are any
  TOOL     s2a, with s2a-lab beside it (default: build/release/s2a)
"""
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
NOTE = "made by scripts/options.py from the option table; do not edit"


def read_table(tool):
    parts = [json.loads(subprocess.check_output([str(p), "options"]))
             for p in (tool, tool.with_name("s2a-lab"))]
    return [c for part in parts for c in part["commands"]], parts[0]["settings"]


def short(row):
    """The help's first clause."""
    text = re.split(r"; | \(|: [{0-9]|, such as|, which |, prompts included", row["help"])[0]
    head = text.split(": ")[0]
    return head if len(head) > 13 and "," not in head else text


def action(row):
    """The kind of value: "" (no value), files, dirs, models, judges, words, list or any."""
    if row["kind"] == "flag":
        return ""
    by_hint = {"FILE": "files", "DIR": "dirs", "NAME|FILE": "models", "NAME|FILE|none": "judges",
               "MODEL|FILE": "models", "LIST": "list" if row["choices"] else "any"}
    return by_hint.get(row["hint"], "words" if row["choices"] else "any")


def words_of(row):
    return row["choices"].replace("|", " ")


def wrapped(words, indent, width=100):
    return textwrap.fill(words, width, initial_indent=indent, subsequent_indent=indent,
                         break_long_words=False, break_on_hyphens=False)


# ---- bash -----------------------------------------------------------------------------------

BASH_HEAD = f"""# bash completion for s2a; source it, or install it as bash-completion/completions/s2a
# {NOTE}

# _s2a_models [OPTION]: what its value may be
_s2a_models() {{
    [[ ${{1-}} != --select-model ]] || echo none
    s2a models 2>/dev/null | awk 'NR > 1 {{ print $1 }}'
}}

# _s2a_reply CURRENT WORDS [-f | -d]: some of the words, and files or directories
_s2a_reply() {{
    [[ -z ${{3-}} ]] || compopt -o filenames
    mapfile -t COMPREPLY < <(
        compgen -W "$2" -- "$1"
        [[ -z ${{3-}} ]] || compgen "$3" -- "$1"
    )
}}

_s2a() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} command=${{COMP_WORDS[1]}} words=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        _s2a_reply "$cur" '@NAMES@ help --help --version'
        return
    fi
    case $command:$prev in
"""
BASH_REPLIES = {"files": "_s2a_reply \"$cur\" '' -f", "dirs": "_s2a_reply \"$cur\" '' -d",
                "models": '_s2a_reply "$cur" "$(_s2a_models)" -f', "any": "",
                "judges": '_s2a_reply "$cur" "$(_s2a_models --select-model)" -f'}


def bash(commands, names):
    replies = {}
    for name in dict.fromkeys(r["name"] for c in commands for r in c["options"]):
        rows = {c["name"]: r for c in commands for r in c["options"] if r["name"] == name}
        kinds = {(action(r), r["choices"]) for r in rows.values()}
        for command, row in rows.items():
            what, pattern = action(row), "*" if len(kinds) == 1 else command
            if not what:
                continue
            reply = BASH_REPLIES.get(what)
            reply = f"_s2a_reply \"$cur\" '{words_of(row)}'" if reply is None else reply
            patterns = replies.setdefault(reply + "; " * bool(reply), {})
            patterns[f"{pattern}:--{name}"] = True
            if row["letter"]:
                patterns[f"{pattern}:-{row['letter']}"] = True
    out = BASH_HEAD.replace("@NAMES@", names)
    for reply, patterns in replies.items():
        text = wrapped(" | ".join(patterns), "        ", 96).replace("\n", " \\\n")
        out += "    " + text.strip() + f")\n        {reply}return ;;\n"
    out += "    esac\n    case $command in\n"
    for c in commands:
        out += f"    {c['name']})\n        words='\n"
        out += wrapped(" ".join("--" + r["name"] for r in c["options"]), " " * 12) + "' ;;\n"
    out += "    help) words='" + names + "' ;;\n    esac\n    case $command:$cur in\n    *:-*) ;;\n"
    for c in commands:
        reply = {None: None, "TEXT": "words=", "MODEL": "words=$(_s2a_models)",
                 "MODEL|FILE": BASH_REPLIES["models"] + "\n        return",
                 "FILE": BASH_REPLIES["files"] + "\n        return"}.get(
                     c["argument"], f"words='{(c['argument'] or '').replace('|', ' ')}'")
        if reply is not None:
            out += f"    {c['name']}:*)\n        {reply} ;;\n"
    return out + "    esac\n    _s2a_reply \"$cur\" \"$words\"\n}\n\ncomplete -F _s2a s2a\n"


# ---- zsh ------------------------------------------------------------------------------------

ZSH_HEAD = f"""#compdef s2a
# zsh completion for s2a; put it into a directory of $fpath
# {NOTE}

_s2a_models() {{
    local -a names
    names=(${{(f)"$(s2a models 2>/dev/null | awk 'NR > 1 {{ print $1 }}')"}})
    compadd -a names
}}

_s2a_judge() {{
    _alternative 'models:model:_s2a_models' 'files:GGUF file:_files' 'none:nobody:(none)'
}}

_s2a_model_or_file() {{
    _alternative 'models:model:_s2a_models' 'files:GGUF file:_files'
}}

_s2a() {{
    if ((CURRENT == 2)); then
        local -a commands
        commands=(
"""
ZSH_ACTIONS = {"files": "_files", "dirs": "_files -/", "models": "_s2a_model_or_file", "any": "",
               "judges": "_s2a_judge", "MODEL": "_s2a_models", "MODEL|FILE": "_s2a_model_or_file"}


def zsh_text(text):
    return re.sub(r"([\[\]:\\])", r"\\\1", text).replace("'", "'\\''")


def zsh_row(row):
    what = action(row)
    value = {"words": f"({words_of(row)})" if row["choices"] else "",
             "list": f"_sequence compadd - {words_of(row)}" if row["choices"] else ""}.get(what)
    text = f"[{zsh_text(short(row))}]"
    if what:
        hint = "value" if row["hint"] == row["choices"] else row["hint"]
        text += f":{hint}:{ZSH_ACTIONS[what] if value is None else value}"
    many = "*" if row["many"] or row["name"] == "verbose" else ""
    long, letter = "--" + row["name"], row["letter"]
    if not letter:
        return f"'{many}{long}{text}'"
    first = "(- *)" if row["name"] in ("help", "version") else "" if many else f"(-{letter} {long})"
    return f"'{first}{many}'{{-{letter},{long}}}'{text}'"


def zsh(commands, names):
    out = ZSH_HEAD
    for c in commands:
        out += f"            '{c['name']}:{zsh_text(c['summary'])}'\n"
    out += ("            'help:help on a command'\n        )\n        _describe command commands\n"
            "        return\n    fi\n    local command=$words[2]\n    shift words\n    ((CURRENT--))\n"
            "    local -a prompted\n    prompted=(\n")
    rows = {c["name"]: [zsh_row(r) for r in c["options"]] for c in commands}
    prompted = [row for row in rows["ask"] if row in rows["attend"]]
    out += "".join(f"        {row}\n" for row in prompted) + "    )\n    case $command in\n"
    for c in commands:
        parts = rows[c["name"]]
        if c["argument"] == "TEXT":
            parts = ["$prompted"] + [row for row in parts if row not in prompted]
        argument = c["argument"]
        if argument == "TEXT":
            parts.append("'*:text:'")
        elif argument == "FILE":
            parts.append("'*:file:_files'")
        elif argument:
            parts.append(f"':{'model' if 'MODEL' in argument else 'task'}:" +
                         ZSH_ACTIONS.get(argument, f"({argument.replace('|', ' ')})") + "'")
        out += f"    {c['name']})\n        _arguments -s \\\n            "
        out += " \\\n            ".join(parts) + "\n        ;;\n"
    return out + f"    help) _arguments ':command:({names})' ;;\n    esac\n}}\n\n_s2a \"$@\"\n"


# ---- fish -----------------------------------------------------------------------------------

FISH_HEAD = f"""# fish completion for s2a; put it into a directory of $fish_complete_path
# {NOTE}

function __s2a_models
    s2a models 2>/dev/null | awk 'NR > 1 {{ print $1 }}'
end

complete -c s2a -f
"""
FISH_ACTIONS = {"": "", "files": " -r -F", "dirs": " -x -a '(__fish_complete_directories)'",
                "models": " -r -F -a '(__s2a_models)'", "any": " -x",
                "judges": " -r -F -a 'none (__s2a_models)'"}


def fish(commands, names):
    out = FISH_HEAD
    none = f"complete -c s2a -n 'not __fish_seen_subcommand_from {names} help'"
    for c in commands:
        out += f"{none} -a {c['name']} -d '{c['summary']}'\n"
    out += f"{none} -a help -d 'help on a command'\n{none} -s V -l version -d 'print the version'\n"
    out += f"complete -c s2a -n '__fish_seen_subcommand_from help' -a '{names}'\n"
    lines = {}
    for c in commands:
        argument = {None: None, "TEXT": None, "MODEL": " -a '(__s2a_models)'",
                    "MODEL|FILE": " -F -a '(__s2a_models)'", "FILE": " -F"}.get(
                        c["argument"], f" -a '{(c['argument'] or '').replace('|', ' ')}'")
        if argument:
            lines.setdefault(argument, []).append(c["name"])
        for row in c["options"]:
            values = FISH_ACTIONS.get(action(row))
            letter = f" -s {row['letter']}" if row["letter"] else ""
            text = short(row).replace("\\", "\\\\").replace("'", "\\'")
            line = f"{letter} -l {row['name']}"
            line += f" -x -a '{words_of(row)}'" if values is None else values
            lines.setdefault(f"{line} -d '{text}'", []).append(c["name"])
    for line, used in lines.items():
        out += f"complete -c s2a -n '__fish_seen_subcommand_from {' '.join(used)}'{line}\n"
    return out


# ---- the manual -----------------------------------------------------------------------------

def mdoc(text):
    """Sentences, one a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"(?<=\w)\\-(?=\w)", "-", text)
    lines = re.split(r"(?<=[.!?]) (?=[A-Z])", text)
    return "".join(("\\&" if line[0] in ".'" else "") + line + "\n" for line in lines)


def manual_row(row):
    long = f"Fl \\-{row['name']}"
    head = f".It Fl {row['letter']} , {long}" if row["letter"] else f".It {long}"
    if row["kind"] != "flag":
        head += " Ar " + row["hint"].replace("-", "\\-")
    text = row["help"][0].upper() + row["help"][1:]
    brackets = []
    if row["choices"] and row["hint"] != row["choices"]:
        brackets.append(row["choices"].replace("|", ", "))
    if row["many"]:
        brackets.append("may be repeated")
    span = "more than %.12g, at most %.12g" if row["above"] else "%.12g to %.12g"
    span %= (row["low"], row["high"])
    if row["kind"] != "text" and not row["choices"] and span not in text and row["high"]:
        brackets.append(span)
    if row["default"] and "default" not in row["help"]:
        brackets.append("default " + row["default"])
    if brackets:
        text = (text[:-1] + "; " if text.endswith(")") else text + " (") + "; ".join(brackets) + ")"
    text += "."
    return head + "\n" + mdoc(text + (" " + row["more"] if row["more"] else ""))


def manual(text, commands, settings):
    """Replaces the text between the markers; a row is listed only once."""
    listed = set()

    def options(match):
        command = next(c for c in commands if c["name"] == match[2])
        sections = match[3].split(", ") if match[3] else None
        out = ""
        for row in command["options"]:
            known = (row["name"], row["help"], row["default"])
            if (sections is None or row["section"] in sections) and known not in listed:
                listed.add(known)
                out += manual_row(row)
        return match[1] + out + match[4]

    text = re.sub(r'(\.\\" options (\w+)(?:: (.+))?\n)(?:.*\n)*?(\.\\" end of options\n)', options, text)
    table = "".join(f".It {s['key']} Ta Ev {s['variable']} Ta " +
                    ("none" if s["key"] == "api_key" else f"Fl \\-{s['name']}") + "\n"
                    for s in settings)
    return re.sub(r'(\.\\" settings\n)(?:.*\n)*?(\.\\" end of settings\n)',
                  lambda m: m[1] + table + m[2], text)


# ---- the configuration file -----------------------------------------------------------------

def schema(settings):
    properties = {}
    for s in settings:
        text = s["help"][0].upper() + s["help"][1:] + "."
        p = properties[s["key"]] = {"description": text,
                                    "type": "string" if s["kind"] == "text" else s["kind"]}
        if s["kind"] == "text":
            if s["choices"]:
                p["enum"] = s["choices"].split("|")
            else:
                p["minLength"] = 1
        else:
            p["exclusiveMinimum" if s["above"] else "minimum"] = number(s["low"])
            p["maximum"] = number(s["high"])
        if s["default"]:
            p["default"] = s["default"] if s["kind"] == "text" else number(float(s["default"]))
    text = json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:s2a:config",
                       "title": "config.json, the configuration file of s2a", "$comment": NOTE,
                       "type": "object", "additionalProperties": False, "properties": "@"}, indent=2)
    lines = [f"    {json.dumps(key)}: {json.dumps(p)}" for key, p in properties.items()]
    return text.replace('"@"', "{\n" + ",\n".join(lines) + "\n  }") + "\n"


def number(value):
    return int(value) if value == int(value) else value


def main():
    arguments = sys.argv[1:]
    check = arguments[:1] == ["--check"]
    arguments = arguments[check:]
    if len(arguments) > 1 or any(a.startswith("-") for a in arguments):
        sys.exit(__doc__)
    tool = Path(arguments[0] if arguments else TOP / "build/release/s2a").resolve()
    commands, settings = read_table(tool)
    names = " ".join(c["name"] for c in commands)
    page = TOP / "docs/s2a.1"
    files = {TOP / "completions/s2a.bash": bash(commands, names),
             TOP / "completions/_s2a": zsh(commands, names),
             TOP / "completions/s2a.fish": fish(commands, names),
             TOP / "docs/schema/config.schema.json": schema(settings),
             page: manual(page.read_text(encoding="utf-8"), commands, settings)}
    stale = [p for p, text in files.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(TOP)}: out of date; run scripts/options.py", file=sys.stderr)
        else:
            path.write_text(files[path], encoding="utf-8")
            print(path.relative_to(TOP))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
