Error.stackTraceLimit = 0; // Tens of thousands are thrown.
/** The vectors of the protocol, at both ends, cut at each byte. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { play, read } from './play.mjs';

test('every vector comes out byte for byte, however it is cut', (t) => {
  let [played, plays] = [0, 0];
  const beyond = {};
  for (const vector of read()) {
    const why = vector.beyond();
    if (why) {
      beyond[why] = (beyond[why] ?? 0) + 1;
      continue;
    }
    played++;
    const whole = Buffer.concat(vector.in);
    const check = (pieces, cut) => {
      plays++;
      const { outcome, out, messages } = play(vector, pieces);
      const got = [outcome, out.toString('hex'), ...messages.map((each) => each.toString('hex'))];
      const expected = [vector.outcome, vector.out, ...vector.messages];
      if (String(got) !== String(expected)) {
        assert.deepEqual(got, expected, `${vector.role}: ${vector.name}, ${cut}`);
      }
    };
    check(vector.in, 'as it is');
    check(
      [...whole].map((byte) => Buffer.from([byte])),
      'at each byte',
    );
    for (let at = 0; at < whole.length; at++) {
      check([whole.subarray(0, at), whole.subarray(at)], `cut at ${at}`);
    }
  }
  t.diagnostic(`${played} vectors, played ${plays} times; left out: ${JSON.stringify(beyond)}`);
  assert.ok(played > 580, `${played} vectors`);
});

test('a stream that ends before its close record is truncated, wherever that is', () => {
  let ends = 0;
  for (const vector of read()) {
    if (vector.beyond() || !['open', 'closed'].includes(vector.outcome)) continue;
    const whole = Buffer.concat(vector.in);
    vector.then = 'eof';
    for (let at = 0; at < whole.length; at++, ends++) {
      const { outcome, messages } = play(vector, [whole.subarray(0, at)]);
      assert.equal(outcome, 'truncated', `${vector.role}: ${vector.name}, at ${at}`);
      const got = messages.map((each) => each.toString('hex'));
      assert.deepEqual(got, vector.messages.slice(0, got.length));
    }
  }
  assert.ok(ends > 10_000, `${ends} ends`);
});
