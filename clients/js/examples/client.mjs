#!/usr/bin/env node
// Sends each line that it reads as a message, and prints the replies: client.mjs HOST:PORT KEYFILE [sealed]
import readline from 'node:readline';
import { connect, readKeyFile } from '../countersign.mjs';

function fail(error) {
  console.error(`client: ${error.message}`);
  process.exit(1);
}

async function talk(address, keyFile, mode) {
  const [, host, port] = /^(.*):(\d+)$/.exec(address);
  const keys = await readKeyFile(keyFile);
  const server = await connect({ host, port: Number(port), keys, sealed: mode === 'sealed' });
  server.on('error', fail);
  const replies = server[Symbol.asyncIterator]();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    server.write(line);
    const { value, done } = await replies.next();
    if (done) throw new Error('the server closed before it replied');
    console.log(value.toString());
  }
  server.end();
  await replies.next();
}

if (process.argv.length < 4) fail(new Error('usage: client.mjs HOST:PORT KEYFILE [sealed]'));
talk(...process.argv.slice(2)).catch(fail);
