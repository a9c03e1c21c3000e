#!/usr/bin/env node
// Sends each line that it reads as a message, and prints the replies: client.mjs HOST:PORT KEYFILE
import readline from 'node:readline';
import { connect, readKeyFile } from '../countersign.mjs';

async function main([address, keyFile]) {
  const [, host, port] = /^(.*):(\d+)$/.exec(address);
  const connection = await connect({ host, port: Number(port), keys: await readKeyFile(keyFile) });
  const replies = connection[Symbol.asyncIterator]();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    connection.write(line);
    const { value, done } = await replies.next();
    if (done) throw new Error('the server closed before it replied');
    console.log(value.toString());
  }
  connection.end();
  await replies.next();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`client: ${error.message}`);
  process.exitCode = 1;
});
