// @ts-check
/** Keys, and the files in which they are kept. */
import * as crypto from 'node:crypto';
import * as fs from 'node:fs/promises';
import { bytes, mac } from './records.mjs';

/**
 * @typedef {object} Key
 * @property {string | Buffer} id 1 to 64 bytes
 * @property {Buffer} secret at least 16 bytes
 * @property {string} [audience] the only service that the key is for; any if empty
 * @property {Date} [notBefore] when it becomes valid
 * @property {Date} [notAfter] when it expires
 */

/** The keys of a program. Its clients and servers share them, and refuse to talk to each other. */
export class KeyRing {
  instance = crypto.randomBytes(16);
  decoy = { prk: crypto.randomBytes(32) };
  #keys = new Map();
  /** @param {Iterable<Key>} keys */
  constructor(keys) {
    for (const key of keys) {
      const id = bytes(key.id).toString('latin1');
      if (id.length < 1 || id.length > 64)
        throw new RangeError('the id of a key has 1 to 64 bytes');
      if (key.secret.length < 16) throw new RangeError(`key ${key.id}: fewer than 16 bytes`);
      if (this.#keys.has(id)) throw new RangeError(`key ${key.id}: there are two`);
      this.#keys.set(id, { ...key, prk: mac('countersign/1 psk', key.secret) });
    }
  }
  /** The key of a client: by default the first. */
  named(id) {
    const key = id
      ? this.#keys.get(bytes(id).toString('latin1'))
      : this.#keys.values().next().value;
    if (!key) throw new RangeError(`there is no key ${id ?? ''}`);
    return key;
  }
  /** The key that a client names, or one that nobody has. */
  find(id, audience, audiences) {
    const key = this.#keys.get(id.toString('latin1'));
    const now = new Date();
    const isValid =
      key &&
      audiences.some((name) => bytes(name).equals(audience)) &&
      (!key.audience || bytes(key.audience).equals(audience)) &&
      !(now < key.notBefore) &&
      !(now > key.notAfter);
    return isValid ? key : this.decoy;
  }
}

/**
 * Reads the keys for countersign/1 from a file that nobody but its owner can read.
 *
 * @param {string} path
 */
export async function readKeyFile(path) {
  const file = await fs.open(path);
  try {
    const { mode } = await file.stat();
    if (mode & 0o077) throw new Error(`others can read ${path}; run: chmod 600 ${path}`);
    return parseKeys(await file.readFile('utf8'));
  } finally {
    await file.close();
  }
}

/**
 * Parses lines such as `id hex:secret audience=name not-after=2027-01-31`, which the manual's page
 * src/manual/operations.md describes. Keys for other dialects alone are left out.
 *
 * @param {string} text
 */
export function parseKeys(text) {
  const keys = [];
  const lines = text.replace(/^\ufeff/, '').split('\n');
  for (const [index, line] of lines.entries()) {
    const fields = line.trim().split(/\s+/);
    if (fields[0] === '' || fields[0].startsWith('#')) continue;
    try {
      const key = parseKey(fields);
      if (key.dialects.split(',').includes('countersign/1')) keys.push(key);
    } catch (error) {
      throw new Error(`line ${index + 1}: ${error.message}`);
    }
  }
  if (keys.length === 0) throw new Error('there is no key for countersign/1');
  return new KeyRing(keys);
}

function parseKey(fields) {
  const [id, secret, ...options] = fields;
  const key = { id, secret: parseSecret(id, secret ?? ''), dialects: 'countersign/1' };
  for (const option of options) {
    const [, name, value] = /^([^=]+)=(.+)$/.exec(option) ?? [];
    if (name === 'dialects') key.dialects = value;
    else if (name === 'audience') key.audience = value;
    else if (name === 'not-before') key.notBefore = parseDate(value, 0);
    else if (name === 'not-after') key.notAfter = parseDate(value, 24 * 60 * 60 * 1000 - 1);
    else throw new Error('options are dialects=, audience=, not-before= and not-after=');
  }
  return key;
}

/** Its errors repeat nothing of a secret. */
function parseSecret(id, field) {
  const [, encoding, text] = /^([^:]*):(.*)$/.exec(field) ?? [];
  if (encoding === 'hex' && /^([0-9a-f]{2})*$/i.test(text)) return Buffer.from(text, 'hex');
  if (encoding === 'base64' && /^[0-9a-z+/]*={0,2}$/i.test(text))
    return Buffer.from(text, 'base64');
  if (encoding === 'text') return Buffer.from(text);
  if (encoding === 'passphrase') {
    return crypto.pbkdf2Sync(text, `countersign/1 pass${id}`, 600_000, 32, 'sha256');
  }
  throw new Error('a secret is hex:, base64:, text: or passphrase: and its text');
}

/** A day, of which so many milliseconds are included, or an instant. */
function parseDate(text, included) {
  const isDay = /^\d{4}-\d\d-\d\d$/.test(text);
  const isInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const time = Date.parse(text);
  // A 30th of February would be taken for a day in March.
  const day = new Date(Date.parse(text.slice(0, 10)) || 0).toISOString();
  if (Number.isNaN(time) || !(isDay || isInstant) || !day.startsWith(text.slice(0, 10))) {
    throw new Error('a date is 2027-01-31 or 2027-01-31T12:00:00Z');
  }
  return new Date(isDay ? time + included : time);
}
