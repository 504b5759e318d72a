#!/usr/bin/env bash
# Each limit is tested where the tables of tests/unit/test_limits.c and tests/wire/test_serve_limits.c
# say, and the test names it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$top" || exit 1
tables=(tests/unit/test_limits.c tests/wire/test_serve_limits.c)

# rows: "NAME FILE ..." of each row; a line without a name goes on with the last one's files.
rows() {
    sed -n 's|^ \*     \(.*\)|\1|p' "${tables[@]}" | sed 's|\*/$||' |
        awk '$1 ~ /^(LIMIT|SERVE)_/ { if (row) print row; row = $0; next } { row = row " " $0 }
             END { print row }'
}

while read -r name files; do
    test="$name in the table"
    checks=$((checks + 1))
    grep -qrE "#define $name\\b" src || fail "there is no such limit"
    for file in $files; do
        [[ $file == tests/* ]] || continue
        checks=$((checks + 1))
        grep -w "$name" "$file" 2>/dev/null | grep -qv '^ \*  ' || fail "$file does not name it"
    done
done < <(rows)

# LIMIT_NONE is none. LIMIT_RESULT_LINE_BYTES: a line of 256 MiB, for the lines of LIMIT_JSON_LINE_BYTES that come
# back.
while read -r name; do
    [[ $name != LIMIT_RESULT_LINE_BYTES && $name != LIMIT_NONE ]] || continue
    test="$name"
    checks=$((checks + 1))
    rows | grep -qE "^$name +tests/" || fail "no test: tests/unit/test_limits.c has the table"
done < <(grep -rhoE '#define LIMIT_[A-Z0-9_]+' src | awk '{ print $2 }' | sort -u)
finish
