// The hashes in the Content-Security-Policy of web/index.html: are they those of its style and script?
//   node tests/browser/csp.mjs           says so, status 1 if not
//   node tests/browser/csp.mjs --write   sets them
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const file = new URL("../../web/index.html", import.meta.url);

// The page with the right hashes. It has one style and one script, without attributes.
export function withHashes(page) {
    for (const tag of ["script", "style"]) {
        const parts = page.split(new RegExp(`</?${tag}>`));
        if (parts.length !== 3)
            throw new Error(`the page has not exactly one <${tag}>`);
        const hash = createHash("sha256").update(parts[1]).digest("base64");
        page = page.replace(new RegExp(`(${tag}-src )'[^']*'`), `$1'sha256-${hash}'`);
    }
    return page;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const page = readFileSync(file, "utf8"), right = withHashes(page);
    if (page !== right && process.argv[2] === "--write") {
        writeFileSync(file, right);
    } else if (page !== right) {
        console.error("csp.mjs: the hashes in web/index.html are old; run it with --write");
        process.exitCode = 1;
    }
}
