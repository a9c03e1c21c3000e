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
print("MicroPython", sys.implementation[1], play.check_all("/vectors.json", ${Number(step)}))
`);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
