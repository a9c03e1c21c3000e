// Plays the vectors to a session under MicroPython, as npm has it.
//
//     node micropython.mjs path/to/micropython.mjs VECTORS STEP

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// All that a session needs.
const MODULES = [
  "__init__", "buffer", "config", "crypto", "errors", "framing", "handshake", "keys", "records",
  "session", "wire",
];

const [interpreter, vectors, step] = process.argv.slice(2);
const { loadMicroPython } = await import(pathToFileURL(interpreter));
const python = await loadMicroPython({ heapsize: 64 << 20, linebuffer: true, stdout: console.log });
const copy = (from, to) => python.FS.writeFile(to, readFileSync(new URL(from, import.meta.url)));

python.FS.mkdir("/lib");
python.FS.mkdir("/lib/countersign");
for (const name of MODULES) {
  copy(`../src/countersign/${name}.py`, `/lib/countersign/${name}.py`);
}
copy("play.py", "/lib/play.py");
copy("chacha20poly1305.py", "/lib/chacha20poly1305.py");
python.FS.writeFile("/vectors.json", readFileSync(vectors));

try {
  python.runPython(`
import sys
sys.path.insert(0, "/lib")
import play
cases, cuts = list(play.cases("/vectors.json")), 0
count = len(cases)
`);
  // Memory is collected between calls, and one call for everything would need gigabytes of it.
  const count = python.globals.get("count");
  for (let number = 0; number < count; number++) {
    python.runPython(`cuts += play.check(*cases[${number}], ${Number(step)})`);
  }
  python.runPython(`
print("MicroPython", sys.implementation[1], count, "cases at", cuts, "cuts")
`);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
