/** Files of keys. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { connect, createServer, KeyRing, parseKeys, readKeyFile } from '../countersign.mjs';

test('keys are read as the program reads them', () => {
  const ring = parseKeys(
    '\ufeff# keys\r\n\n' +
      'a hex:ff0102030405060708090a0b0c0d0e0f audience=time\r\n' +
      'b base64:AAECAwQFBgcICQoLDA0ODw== not-after=2027-01-31\n' +
      'c base64:EAECAwQFBgcICQoLDA0ODw not-before=2027-01-31T12:00:00+02:00\n' +
      'old text:short dialects=raw,hex\n' +
      'd passphrase:tulip-anvil dialects=raw,countersign/1',
  );
  assert.equal(ring.named('a').audience, 'time');
  assert.equal(ring.named().id, 'a');
  assert.equal(ring.named('b').notAfter.toISOString(), '2027-01-31T23:59:59.999Z');
  assert.equal(ring.named('c').notBefore.toISOString(), '2027-01-31T10:00:00.000Z');
  // hashlib.pbkdf2_hmac('sha256', b'tulip-anvil', b'countersign/1 pass' b'd', 600000)
  assert.equal(
    ring.named('d').secret.toString('hex'),
    '5ff6d1471818a03c71dde319160a14cb5a0ce5bfb0d77b6cde9511aca801f9f9',
  );
  assert.throws(() => ring.named('old'), /there is no key old/);
});

test('a faulty line is named, and nothing of its secret', () => {
  const good = 'a text:0123456789abcdef';
  const faulty = ['', 'a', 'a 0001', 'a hex:0001', 'a hex:xyz', 'a rot13:abc', 'a base64:!xyz'];
  const options = ['audience', 'not-after=tomorrow', 'not-after=2027-02-30', 'extra=1'];
  const lines = options.map((option) => `${good} ${option}`);
  const twice = 'not-after=2027-01-31 not-after=2027-01-30';
  const never = 'not-before=2027-01-02 not-after=2027-01-01';
  lines.push(`${good} ${twice}`, `${good} ${never}`, `${good} audience=a\u0007`);
  lines.push(`${good} dialects=countersign/1,rot13`, `${good} audience=${'a'.repeat(65)}`);
  lines.push('a passphrase:', `a hex:${'0'.repeat(32)}`);
  lines.push('a\u0007 text:0123456789abcdef', `${good}\nb text:0123456789abcdef`);
  for (const text of [...faulty, ...lines, `${good}\n${good}`]) {
    assert.throws(
      () => parseKeys(text),
      (error) => !/0123|xyz/.test(error.message),
      text,
    );
  }
});

test('a date is a valid Date', () => {
  const secret = Buffer.from('0123456789abcdef');
  for (const date of ['2020-01-01', new Date('2020-31-01'), null, 0]) {
    for (const name of ['notBefore', 'notAfter'])
      assert.throws(() => new KeyRing([{ id: 'a', secret, [name]: date }]), /a valid Date/);
  }
  assert.throws(() => new KeyRing([{ id: 'a', secret }]).named(''), /there is no key/);
  const old = parseKeys('a text:0123456789abcdef not-after=0001-01-01T00:00:00Z');
  assert.equal(old.find(Buffer.from('a'), Buffer.alloc(0), ['']), old.decoy);
});

test('options that are undefined are the default, and no audience is an error', async () => {
  const [keys, theirs] = [0, 1].map(() => parseKeys('a text:0123456789abcdef'));
  assert.throws(() => createServer({ keys, audiences: [] }), /audiences: name one/);
  const server = createServer({ keys, audiences: undefined, maxRecord: undefined }, (client) =>
    client.end('hello'),
  );
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const place = { host: '127.0.0.1', port: server.address().port };
  await assert.rejects(connect({ ...place, keys: theirs, audiences: [] }), /audiences: name one/);
  const unset = { audiences: undefined, maxRecord: undefined };
  const client = await connect({ ...place, keys: theirs, ...unset });
  const heard = [];
  for await (const part of client) heard.push(part);
  assert.equal(Buffer.concat(heard).toString(), 'hello');
  client.end();
  await new Promise((resolve) => server.close(resolve));
});

test('a file is for its owner alone, or for a group that root lends it to', async () => {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'keys-'));
  const file = path.join(folder, 'keys');
  await fs.writeFile(file, 'a text:0123456789abcdef\n', { mode: 0o600 });
  await readKeyFile(file);
  await fs.appendFile(file, Buffer.of(0x61, 0x20, 0xff));
  await assert.rejects(readKeyFile(file), /not valid for encoding utf-8/);
  await fs.writeFile(file, 'a text:0123456789abcdef\n');
  const refused = { 0o644: /chmod 600/, 0o660: /chmod 600/ };
  const isRoot = process.geteuid() === 0;
  if (!isRoot) refused[0o640] = /chmod 600/;
  for (const [mode, message] of Object.entries(refused)) {
    await fs.chmod(file, Number(mode));
    await assert.rejects(readKeyFile(file), message, mode);
  }
  if (isRoot) {
    await fs.chmod(file, 0o440);
    await readKeyFile(file);
    await fs.chown(file, 0, 54321);
    await assert.rejects(readKeyFile(file), /chmod 600/);
    await fs.chown(file, 54321, 0);
    await assert.rejects(readKeyFile(file), /belongs to user 54321; run: chown 0/);
  }
  await fs.rm(folder, { recursive: true });
});
