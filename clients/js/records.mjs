// @ts-check
/** The records of countersign/1, and what they have in common with its handshake. */
import * as crypto from 'node:crypto';

export const [DATA, PING, PONG, CLOSE, BATCH] = [0x10, 0x11, 0x12, 0x13, 0x14];
export const TAG = 16;
const [MAX_RECORD, MAX_BATCH] = [2 ** 24 - 1, 2 ** 14];
const SUITE = 'chacha20-poly1305';
const SIZE = { authTagLength: TAG };

/** What ends a connection early: `code` says what, and `refusal` why a server refuses. */
export class CountersignError extends Error {
  /**
   * @param {'REFUSED' | 'UNPROVED' | 'PROTOCOL' | 'TRUNCATED' | 'FOREIGN' | 'SELF' | 'TOO_LONG' | 'TIMEOUT'} code
   * @param {string} message
   * @param {number} [refusal]
   */
  constructor(code, message, refusal) {
    super(message);
    this.code = code;
    this.refusal = refusal;
  }
}

const REASONS = ['unknown', 'version', 'refused', 'busy or stopping', 'malformed', 'timed out'];
export const refused = (code) =>
  new CountersignError('REFUSED', `the server refused: ${REASONS[code] ?? REASONS[0]}`, code);
export const broken = (what) =>
  new CountersignError('PROTOCOL', `the peer broke the protocol: ${what}`);

export const bytes = (part) => (typeof part === 'string' ? Buffer.from(part) : part);
export const join = (...parts) => Buffer.concat(parts.map(bytes));
export const mac = (key, ...parts) =>
  crypto
    .createHmac('sha256', key)
    .update(join(...parts))
    .digest();
export const isSame = (one, other) =>
  one.length === other.length && crypto.timingSafeEqual(one, other);

/** An integer in so many bytes. */
export function number(value, size) {
  const all = Buffer.alloc(8);
  all.writeBigUInt64BE(BigInt(value));
  return all.subarray(8 - size);
}

export const header = (type, length) => join(number(type, 1), number(length, 3));

/** Takes bytes apart. */
export class Parser {
  /** @param {Buffer} data */
  constructor(data) {
    this.data = data;
  }

  take(size) {
    if (size > this.data.length) throw broken('a field reaches past the end');
    const taken = this.data.subarray(0, size);
    this.data = this.data.subarray(size);
    return taken;
  }

  number(size) {
    return this.take(size).readUIntBE(0, size);
  }

  /** They come last, and use up the rest. */
  extensions() {
    const found = new Map();
    if (this.number(2) !== this.data.length) throw broken('the extensions have another length');
    while (this.data.length > 0) {
      const id = this.number(2);
      if (found.has(id)) throw broken('an extension occurs twice');
      found.set(id, this.take(this.number(2)));
    }
    return found;
  }
}

/** The records of one direction. */
export class Direction {
  /** @type {Buffer | undefined} the key that seals, if that was agreed on */
  #sealer;
  /** The number of the next record, whatever its type. */
  #number = 0;

  constructor(key, limit) {
    this.key = key;
    this.limit = Math.min(limit, MAX_RECORD);
  }

  beginSealing() {
    this.#sealer = mac(this.key, 'countersign/1 chacha20-poly1305');
  }

  seal(type, payload) {
    const head = header(type, payload.length + TAG);
    if (!this.#sealer) return join(head, payload, this.#tag(head, payload));
    const cipher = crypto.createCipheriv(SUITE, this.#sealer, this.#nonce(), SIZE);
    cipher.setAAD(head, { plaintextLength: payload.length });
    return join(head, cipher.update(payload), cipher.final(), cipher.getAuthTag());
  }

  open(head, body) {
    const [payload, tag] = [body.subarray(0, -TAG), body.subarray(-TAG)];
    if (!this.#sealer) {
      if (isSame(tag, this.#tag(head, payload))) return payload;
      throw broken('a record has a wrong tag');
    }
    const cipher = crypto.createDecipheriv(SUITE, this.#sealer, this.#nonce(), SIZE);
    cipher.setAAD(head, { plaintextLength: payload.length }).setAuthTag(tag);
    try {
      return join(cipher.update(payload), cipher.final());
    } catch {
      throw broken('a record has a wrong tag');
    }
  }

  #tag(head, payload) {
    return mac(this.key, number(this.#number++, 8), head, payload).subarray(0, TAG);
  }

  #nonce() {
    return join(Buffer.alloc(4), number(this.#number++, 8));
  }

  /** Messages that go out together are one batch. */
  sealMessages(messages) {
    const limit = Math.min(this.limit, MAX_BATCH) - TAG;
    const records = [];
    let group = [];
    let size = 0;
    const flush = () => {
      if (group.length > 1) {
        records.push(this.seal(BATCH, join(...group.flatMap((m) => [number(m.length, 3), m]))));
      } else if (group.length > 0) {
        records.push(this.seal(DATA, group[0]));
      }
      [group, size] = [[], 0];
    };
    for (const message of messages) {
      if (size + 3 + message.length > limit) flush();
      group.push(message);
      size += 3 + message.length;
    }
    flush();
    return records;
  }
}

/** The messages of a batch, all or none. */
export function split(payload) {
  const parser = new Parser(payload);
  const messages = [];
  do messages.push(parser.take(parser.number(3)));
  while (parser.data.length > 0);
  return messages;
}
