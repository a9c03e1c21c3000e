/**
 * Changed input: whatever arrives, an end answers with an error of its own, and hands on only what
 * somebody with the key has sent. `CASES` and `SEED` choose how much and what.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { play, read } from './play.mjs';

Error.stackTraceLimit = 0; // Tens of thousands are thrown.

const CASES = Number(process.env.CASES ?? 20_000);
let state = BigInt(process.env.SEED ?? 1);

/** A number below the limit, from the seed alone. */
function random(limit) {
  state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
  return Number(state >> 33n) % limit;
}

const changes = [
  (bytes) => void (bytes[random(bytes.length)] ^= 1 << random(8)),
  (bytes) => void (bytes[random(bytes.length)] = random(256)),
  (bytes) => bytes.subarray(0, random(bytes.length)),
  (bytes) => Buffer.concat([bytes.subarray(0, random(bytes.length)), bytes]),
  (bytes) => Buffer.concat([bytes, bytes.subarray(random(bytes.length))]),
  (bytes) => Buffer.concat([bytes, Buffer.from([random(256), 0, 0, random(64)]), bytes]),
];

test('changed input does no more than end a connection', (t) => {
  t.diagnostic(`SEED=${state} CASES=${CASES}`);
  const vectors = read().filter((vector) => !vector.beyond() && vector.in.length > 0);
  const sent = new Set(vectors.flatMap((vector) => vector.messages));
  sent.add('00000474696d6500000464617465'); // In a vector it comes with the type of a batch.
  for (let number = 0; number < CASES; number++) {
    const seed = state;
    const vector = vectors[random(vectors.length)];
    const pieces = vector.in.map((piece) => Buffer.from(piece));
    for (let count = 1 + random(3); count > 0; count--) {
      const at = random(pieces.length);
      if (pieces[at].length > 0)
        pieces[at] = changes[random(changes.length)](pieces[at]) ?? pieces[at];
    }
    const { messages } = play(vector, pieces);
    for (const message of messages) {
      assert.ok(sent.has(message.toString('hex')), `SEED=${seed}: ${message} was never sent`);
    }
  }
});
