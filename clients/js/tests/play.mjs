/** Plays the vectors of tests/vectors/countersign-1.json; generate.py beside it explains its fields. */
import { readFileSync } from 'node:fs';
import { KeyRing, Session } from '../countersign.mjs';

const FILE = new URL('../../../tests/vectors/countersign-1.json', import.meta.url);
const REASONS = ['unknown', 'version', 'refused', 'busy', 'malformed', 'timeout'];
const OUTCOMES = {
  UNPROVED: 'unproved',
  PROTOCOL: 'violation',
  TRUNCATED: 'truncated',
  FOREIGN: 'silent',
  SELF: 'silent',
  TIMEOUT: 'timeout',
};

const unhex = (text) => Buffer.from(text, 'hex');

class Vector {
  constructor(role, fields) {
    Object.assign(this, { role }, fields);
    this.in = this.in.map(unhex);
  }

  /** What this package does not offer that the vector is about. */
  beyond() {
    const isServer = this.role === 'server';
    if (isServer && ['allowed', 'off'].includes(this.records)) return 'a server without records';
    if (this.busy) return 'a busy server';
    if (!isServer && this.client_flags !== 3) return 'a client that does not require records';
    if (!isServer && !['', '0001000101'].includes(this.client_ext)) return 'other extensions';
  }

  options() {
    const isServer = this.role === 'server';
    const ring = isServer ? this.ring : { [this.kid]: this.key };
    const entries = Object.entries(ring);
    const keys = new KeyRing(entries.map(([id, key]) => ({ id: unhex(id), secret: unhex(key) })));
    keys.instance = unhex(isServer ? this.instance_s : this.instance_c);
    keys.decoy = { prk: unhex(this.decoy) };
    return {
      keys,
      keyId: isServer ? undefined : unhex(this.kid),
      audiences: isServer ? this.audiences.map(unhex) : [unhex(this.aud)],
      sealed: isServer ? this.records === 'sealed' : this.client_ext !== '',
      maxRecord: isServer ? this.server_max_record : this.client_max_record,
      nonce: unhex(isServer ? this.sg : this.nonce_c),
    };
  }
}

export function read() {
  const file = JSON.parse(readFileSync(FILE, 'utf8'));
  const roles = { server: file.server, client: file.client, '': file.records };
  return Object.entries(roles).flatMap(([role, cases]) =>
    cases.map((fields) => new Vector(fields.role ?? role, { ...file.defaults, ...fields })),
  );
}

/** What comes of a vector whose input arrives in these pieces. */
export function play(vector, pieces) {
  const session = new Session(vector.role, vector.options());
  const [output, messages] = [[], []];
  session.onOpen = () => {
    session.send(...vector.say.map(unhex));
    if (vector.closes === 'first') session.finish();
  };
  try {
    for (const piece of pieces) {
      for (const message of session.receive(piece)) messages.push(message);
      if (session.isFinished && vector.closes === 'answer') session.finish();
      output.push(session.takeOutput());
    }
    if (vector.then === 'eof') session.end();
    if (vector.then === 'timeout') session.expire();
  } catch (error) {
    const reason = REASONS[error.refusal] ?? 'unknown';
    const outcome = error.code === 'REFUSED' ? `refused: ${reason}` : OUTCOMES[error.code];
    if (!outcome) throw error;
    return { outcome, messages, out: Buffer.concat([...output, session.takeOutput()]) };
  }
  const isClosed = session.isFinished && vector.closes !== 'never';
  const outcome = isClosed ? 'closed' : session.key ? 'open' : 'waiting';
  return { outcome, messages, out: Buffer.concat([...output, session.takeOutput()]) };
}
