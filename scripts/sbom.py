#!/usr/bin/env python3
"""sbom.py DIST: prints what the packages in DIST are made of, as SPDX 2.3 in JSON. scripts/dist.sh runs it.

Libraries that the tool is linked with are read from the program in the tarball (readelf), their Debian packages and
versions from dpkg; libraries that those need, from the tarball's list (bundled.tsv). libllama and ggml come from
scripts/llama.lock. A licence is stated for the libraries of THIRD-PARTY.md. For the others this list says
NOASSERTION, and the tarball has Debian's copyright file.
"""
import csv
import glob
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from datetime import datetime, timezone

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# For each library that s2a is linked with: name, SPDX licence, authors and home page.
LINKED = {
    "libcurl.so": ("libcurl", "curl", "Daniel Stenberg and contributors", "https://curl.se/"),
    "libjansson.so": ("jansson", "MIT", "Petri Lehtinen and contributors", "https://github.com/akheron/jansson"),
    "libicuuc.so": ("ICU", "Unicode-DFS-2016", "Unicode, Inc. and others", "https://icu.unicode.org/"),
    "libcrypto.so": ("OpenSSL", "Apache-2.0", "The OpenSSL Project Authors", "https://www.openssl.org/"),
    "liblinear.so": ("liblinear", "BSD-3-Clause", "The LIBLINEAR Project", "https://www.csie.ntu.edu.tw/~cjlin/liblinear/"),
    "libarchive.so": ("libarchive", "BSD-2-Clause", "Tim Kientzle and contributors", "https://libarchive.org/"),
    "libmicrohttpd.so": ("libmicrohttpd", "LGPL-2.1-or-later", "Christian Grothoff and contributors",
                         "https://www.gnu.org/software/libmicrohttpd/"),
}
# Libraries of glibc, which every system has, and libllama's, which are described separately.
APART = re.compile(r"^(lib(c|m|dl|pthread)\.so|ld-linux|libllama|libggml)")


def fail(text):
    sys.exit(f"sbom.py: {text}")


def needed(program):
    said = subprocess.run(["readelf", "-d", program], check=True, capture_output=True, text=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", said)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def identifier(*parts):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(parts)).strip("-")


def package(name, version, licence, copyright_text="NOASSERTION", **more):
    return {"SPDXID": identifier("Package", name), "name": name, "versionInfo": version, "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False, "licenseConcluded": licence, "licenseDeclared": licence,
            "copyrightText": copyright_text, **more}


def purl(kind, name, version, **qualifiers):
    tail = "&".join(f"{key}={value}" for key, value in qualifiers.items())
    version = version.replace(":", "%3A").replace("+", "%2B")
    return {"externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                              "referenceLocator": f"pkg:{kind}/{name}@{version}" + (f"?{tail}" if tail else "")}]}


def read_tarball(dist):
    """The version, what the tool needs, and the rows of bundled.tsv: library, package, version."""
    found = glob.glob(os.path.join(dist, "s2a-*-linux-*.tar.gz"))
    if len(found) != 1:
        fail(f"{dist}: not one tarball: {found}")
    with tarfile.open(found[0]) as tar, tempfile.TemporaryDirectory() as work:
        top = tar.getnames()[0].split("/")[0]
        rows = list(csv.DictReader(io.TextIOWrapper(tar.extractfile(f"{top}/share/doc/s2a/bundled.tsv")), delimiter="\t"))
        program = os.path.join(work, "s2a")
        with open(program, "wb") as file:
            file.write(tar.extractfile(f"{top}/bin/s2a").read())
        return top.split("-")[1], needed(program), rows


def read_lock():
    """llama.lock's rows: platform, package, version, integrity."""
    with open(os.path.join(TOP, "scripts/llama.lock"), encoding="utf-8") as file:
        return [line.split() for line in file if line.strip() and not line.startswith("#")]


def llama_packages():
    with open(os.path.join(TOP, "cmake/S2aLlama.cmake"), encoding="utf-8") as file:
        version = re.search(r"^set\(S2A_LLAMA_VERSION ([0-9.]+)\)", file.read(), re.M).group(1)
    origin = "; ".join(f"{name}@{number} ({integrity})" for platform, name, number, integrity in read_lock()
                       if platform in ("any", "Linux-" + os.uname().machine))
    by = "Copyright (c) 2023-2026 The ggml authors"
    source = "built by node-llama-cpp, npm packages " + origin
    home = "https://github.com/ggml-org/llama.cpp"
    number = next(row[2] for row in read_lock() if row[0] == "any")
    return [package("libllama", version, "MIT", by, homepage=home, sourceInfo=source,
                    **purl("npm", "node-llama-cpp", number)),
            package("ggml", version, "MIT", by, homepage=home, sourceInfo=source,
                    comment="of the same llama.cpp source as libllama")]


def linked_package(library, row, arch):
    name, licence, authors, home = LINKED[library]
    return package(name, row["version"], licence, f"Copyright {authors}", homepage=home,
                   sourceInfo=f"Debian package {row['package']}", comment=f"linked by the tool as {row['library']}",
                   **purl("deb/debian", row["package"], row["version"], arch=arch))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    dist = sys.argv[1]
    version, names, rows = read_tarball(dist)
    arch = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()
    by_library = {row["library"]: row for row in rows}
    created = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", datetime.now().timestamp())), timezone.utc)

    main_package = package("s2a", version, "MIT", "Copyright (c) 2026 the s2a authors", primaryPackagePurpose="APPLICATION",
                           comment="Prompts, heads of mode select, labelled prompts and the page of s2a serve are embedded; "
                                   "all are part of s2a's source. No model's weights are in any package.")
    packages, relations = [main_package], [("SPDXRef-DOCUMENT", "DESCRIBES", main_package["SPDXID"])]
    direct = set()
    for name in names:
        if APART.match(name):
            continue
        library = re.sub(r"\.so\..*", ".so", name)
        if library not in LINKED or name not in by_library:
            fail(f"{name}: the tool is linked with it, and its licence is not stated in LINKED")
        row = by_library[name]
        direct.add(row["package"])
        packages.append(linked_package(library, row, arch))
        relations.append((main_package["SPDXID"], "DYNAMIC_LINK", packages[-1]["SPDXID"]))
    for one in llama_packages():
        packages.append(one)
        relations.append((main_package["SPDXID"], "DYNAMIC_LINK", one["SPDXID"]))
    for name in sorted({row["package"] for row in rows} - direct):
        number = next(row["version"] for row in rows if row["package"] == name)
        packages.append(package(name, number, "NOASSERTION", comment="needed by a linked library; its licence is in the "
                                f"tarball: share/doc/s2a/licenses/{name}", **purl("deb/debian", name, number, arch=arch)))
        relations.append((main_package["SPDXID"], "DEPENDS_ON", packages[-1]["SPDXID"]))

    # The files of the release: the tarball contains the libraries, the Debian packages depend on them.
    bundled = [one["SPDXID"] for one in packages[1:]]
    private = [one["SPDXID"] for one in packages if one["name"] in ("libllama", "ggml")]
    for path in sorted(glob.glob(os.path.join(dist, "*"))):
        name = os.path.basename(path)
        one = package(name, version, "NOASSERTION", packageFileName=name,
                      checksums=[{"algorithm": "SHA256", "checksumValue": sha256(path)}])
        one["SPDXID"] = identifier("Artifact", name)
        packages.append(one)
        relations.append((one["SPDXID"], "GENERATED_FROM", main_package["SPDXID"]))
        holds = bundled if "-linux-" in name else private if name.startswith("s2a_") else []
        relations += [(one["SPDXID"], "CONTAINS", what) for what in holds]

    digest = hashlib.sha256(json.dumps(packages, sort_keys=True).encode()).hexdigest()[:32]
    json.dump({"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"s2a-{version}",
               "documentNamespace": f"https://s2a.invalid/spdx/s2a-{version}-{digest}",
               "creationInfo": {"created": created.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: s2a-scripts/sbom.py"]},
               "packages": packages,
               "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                                 for a, kind, b in relations]}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
