/** The stream over sockets: messages, ends, errors and deadlines. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test from 'node:test';
import { connect, createServer, KeyRing } from '../countersign.mjs';

const key = (id = 'k', secret = 'x', more = {}) => ({
  id,
  secret: Buffer.alloc(16, secret),
  ...more,
});
const ring = (...keys) => new KeyRing(keys.length > 0 ? keys : [key()]);

/** Runs a server for as long as a test takes, and returns how to connect to it. */
async function serve(t, options, listener = (connection) => connection.pipe(connection)) {
  const server = createServer(options, listener);
  server.errors = [];
  server.on('clientError', (error) => server.errors.push(error.code));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { server, host: '127.0.0.1', port: server.address().port };
}

for (const sealed of [false, true]) {
  test(`messages go both ways, ${sealed ? 'sealed' : 'tagged'}`, async (t) => {
    const peers = [];
    const { host, port } = await serve(t, { keys: ring(), sealed }, (peer) => {
      peers.push(peer);
      peer.pipe(peer);
    });
    const client = await connect({ host, port, keys: ring(), sealed });
    const sent = ['one', '', 'x'.repeat(65536)];
    client.cork();
    for (const message of sent) client.write(message);
    client.uncork();
    client.end();
    const got = [];
    for await (const message of client) got.push(message.toString());
    assert.deepEqual(got, sent);
    assert.equal(client.key.id, 'k');
    assert.deepEqual(client.secret('label'), peers[0].secret('label'));
  });
}

test('who does not read is not sent more than fits', async (t) => {
  let written = 0;
  const { host, port } = await serve(t, { keys: ring() }, async (peer) => {
    while (!peer.destroyed && written < 100_000) {
      written++;
      if (!peer.write(Buffer.alloc(10_000))) await once(peer, 'drain').catch(() => {});
    }
  });
  const client = await connect({ host, port, keys: ring() });
  client.pause();
  for (let last = -1; last !== written;) {
    last = written;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(written < 100_000, `${written} messages are on their way`);
  client.destroy();
});

test('only those with the key are let in', async (t) => {
  const hour = 3_600_000;
  const cases = {
    secret: [key('k', 'y')],
    id: [key('l')],
    expired: [key('k', 'x', { notAfter: new Date(Date.now() - hour) })],
    early: [key('k', 'x', { notBefore: new Date(Date.now() + hour) })],
    elsewhere: [key('k', 'x', { audience: 'time' })],
  };
  for (const [name, keys] of Object.entries(cases)) {
    const { host, port } = await serve(t, { keys: ring(...keys) });
    await assert.rejects(connect({ host, port, keys: ring() }), { code: 'UNPROVED' }, name);
  }
  const own = ring();
  const { server, host, port } = await serve(t, { keys: own });
  await assert.rejects(connect({ host, port, keys: own }), { code: 'TRUNCATED' });
  assert.deepEqual(server.errors, ['SELF']);
  await assert.rejects(async () => connect({ host, port, keys: own, keyId: 'l' }), RangeError);
});

test('a server that seals refuses a client that does not, and says so', async (t) => {
  const { server, host, port } = await serve(t, { keys: ring(), sealed: true });
  const refusal = { code: 'REFUSED', refusal: 2 };
  await assert.rejects(connect({ host, port, keys: ring() }), refusal);
  assert.deepEqual(server.errors, ['REFUSED']);
});

test('a handshake has a deadline, at both ends', async (t) => {
  const silent = net.createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const at = { host: '127.0.0.1', port: silent.address().port, keys: ring() };
  await assert.rejects(connect({ ...at, handshakeTimeout: 1 }), { code: 'TIMEOUT' });
  await assert.rejects(connect({ ...at, signal: AbortSignal.timeout(1) }), { name: 'AbortError' });
  silent.close();

  const { port } = await serve(t, { keys: ring(), handshakeTimeout: 50 });
  const socket = net.connect({ port, host: '127.0.0.1' });
  socket.write(Buffer.from('\x9ecsgn/1\n', 'latin1'));
  const told = Buffer.concat(await socket.toArray());
  assert.equal(told.subarray(32).toString('hex'), '0500000105');
});

test('a stream that is cut off ends with an error', async (t) => {
  const { host, port } = await serve(t, { keys: ring() }, (peer) => {
    peer.write('the last', () => peer.destroy());
  });
  const client = await connect({ host, port, keys: ring() });
  const got = [];
  client.on('data', (message) => got.push(message.toString()));
  await assert.rejects(once(client, 'end'), { code: 'TRUNCATED' });
  assert.deepEqual(got, ['the last']);
});

test('a message that is too long is an error, and not sent', async (t) => {
  const { host, port } = await serve(t, { keys: ring(), maxRecord: 1024 });
  const client = await connect({ host, port, keys: ring() });
  client.write(Buffer.alloc(1009));
  const [error] = await once(client, 'error');
  assert.equal(error.code, 'TOO_LONG');
});

test('a peer that speaks another protocol is told nothing', async (t) => {
  const { server, port } = await serve(t, { keys: ring() });
  const socket = net.connect({ port, host: '127.0.0.1' });
  socket.write('GET / HTTP/1.1\r\n\r\n');
  assert.deepEqual(await socket.toArray(), []);
  assert.deepEqual(server.errors, ['FOREIGN']);
});
