#!/usr/bin/env node
// Sends each message back, and ends on SIGTERM: server.mjs HOST:PORT KEYFILE
import { createServer, readKeyFile } from '../countersign.mjs';

const [address, keyFile] = process.argv.slice(2);
const [, host, port] = /^(.*):(\d+)$/.exec(address);
const keys = await readKeyFile(keyFile);

const server = createServer({ keys }, (connection) => connection.pipe(connection));
server.on('clientError', (error) => console.error(error.message));
server.listen(Number(port), host, () => {
  const { address, port } = server.address();
  console.log(`listening on ${address}:${port}`);
});
process.on('SIGTERM', () => process.exit());
