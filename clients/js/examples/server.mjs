#!/usr/bin/env node
// Sends each message back, and ends on SIGTERM: server.mjs HOST:PORT KEYFILE [sealed]
import { createServer, readKeyFile } from '../countersign.mjs';

function fail(error) {
  console.error(`server: ${error.message}`);
  process.exit(1);
}

async function serve(address, keyFile, mode) {
  const [, host, port] = /^(.*):(\d+)$/.exec(address);
  const keys = await readKeyFile(keyFile);
  const options = { keys, sealed: mode === 'sealed' };
  const server = createServer(options, (client) => client.pipe(client));
  server.on('clientError', (error) => console.error(`server: ${error.message}`));
  server.on('error', fail);
  server.listen(Number(port), host, () => {
    const { address, port } = server.address();
    console.log(`listening on ${address}:${port}`);
  });
}

if (process.argv.length < 4) fail(new Error('usage: server.mjs HOST:PORT KEYFILE [sealed]'));
process.on('SIGTERM', () => process.exit());
serve(...process.argv.slice(2)).catch(fail);
