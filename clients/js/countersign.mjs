// @ts-check
/**
 * countersign/1: both ends of a connection prove that they hold the same key, and from then on
 * nobody on the path can change, replay, drop or truncate a message unnoticed.
 *
 * It is this file alone, for Node 20 or newer. The page src/manual/protocol.md of the project
 * describes what is sent.
 */
import * as crypto from 'node:crypto';
import * as fs from 'node:fs/promises';
import * as net from 'node:net';
import { Duplex } from 'node:stream';

const MAGIC = Buffer.from('\x9ecsgn/1\n', 'latin1');
const [HELLO, ANSWER, CONFIRM, ACCEPT, REFUSAL] = [1, 2, 3, 4, 5];
const [DATA, PING, PONG, CLOSE, BATCH] = [0x10, 0x11, 0x12, 0x13, 0x14];
const [RECORDS, REQUIRED] = [1, 2]; // flags of a hello
const [MIN_RECORD, MAX_RECORD] = [2 ** 10, 2 ** 24 - 1]; // lengths in a header
const [TAG, MAX_PING, MAX_BATCH] = [16, 125, 2 ** 14];
const SEALING = 1; // an extension
const [VERSION, REFUSED, MALFORMED, TIMED_OUT] = [1, 2, 4, 5]; // refusals
const WORDS = ['unknown', 'version', 'refused', 'busy or stopping', 'malformed', 'timed out'];
/** What a server takes from a client that it has refused, until the client goes. */
const [LINGER_TIME, LINGER_BYTES] = [1000, 65536];

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

function refused(code) {
  const why = `the server refused the client: ${WORDS[code] ?? WORDS[0]}`;
  return new CountersignError('REFUSED', why, code);
}

function check(isRight, message, code) {
  if (!isRight) throw new CountersignError(code ?? 'PROTOCOL', message);
}

// Keys, and the files in which they are kept.

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
  /** In place of a key that there is not: nobody holds it. */
  decoy = { prk: crypto.randomBytes(32) };
  #keys = new Map();
  /** @param {Iterable<Key>} keys */
  constructor(keys) {
    const secrets = new Set();
    for (const key of keys) {
      const id = bytes(key.id).toString('latin1');
      const prk = mac('countersign/1 psk', key.secret);
      const isUnique = !this.#keys.has(id) && !secrets.has(prk.toString('latin1'));
      const isEmpty = bytes(key.secret).every((byte) => byte === 0);
      if (!isUnique || isEmpty || id.length < 1 || id.length > 64 || key.secret.length < 16)
        throw new RangeError(
          `key ${key.id}: ids have 1 to 64 bytes and secrets 16 or more, ` +
            'not zeros alone, and no two are the same',
        );
      for (const date of [key.notBefore, key.notAfter])
        // Any other value would compare as if there were no date.
        if (date !== undefined && !(date instanceof Date && date.getTime() >= 0))
          throw new TypeError(`key ${key.id}: a date is a valid Date from 1970 on`);
      if (key.notAfter <= key.notBefore)
        throw new RangeError(`key ${key.id} expires before it becomes valid`);
      secrets.add(prk.toString('latin1'));
      this.#keys.set(id, { ...key, prk });
    }
  }
  /** The key of a client: by default the first. */
  named(id) {
    const key =
      id !== undefined ? this.#keys.get(bytes(id).toString('latin1')) : [...this.#keys.values()][0];
    if (!key) throw new RangeError(`there is no key ${id ?? ''}`);
    return key;
  }
  /** The key that a client names to a server, or the decoy. */
  find(id, audience, audiences) {
    const key = this.#keys.get(id.toString('latin1'));
    const now = new Date();
    const isServed = audiences.some((name) => bytes(name).equals(audience));
    const isMeant = !key?.audience || bytes(key.audience).equals(audience);
    const isValid = isServed && isMeant && !(now < key?.notBefore) && !(now > key?.notAfter);
    return (isValid && key) || this.decoy;
  }
}

/**
 * Reads the keys for countersign/1 from a file that belongs to this user or to root, and that
 * nobody else can read, but for the group that root lets read it and this process is in.
 */
export async function readKeyFile(path) {
  const file = await fs.open(path);
  try {
    checkAccess(path, await file.stat());
    return parseKeys(new TextDecoder('utf-8', { fatal: true }).decode(await file.readFile()));
  } finally {
    await file.close();
  }
}

function checkAccess(path, { uid, gid, mode }) {
  // Windows has other rights than these.
  if (!process.geteuid) return;
  if (uid !== 0 && uid !== process.geteuid())
    throw new Error(`${path} belongs to user ${uid}; run: chown ${process.geteuid()} ${path}`);
  const isLent = uid === 0 && [process.getegid(), ...process.getgroups()].includes(gid);
  if (mode & (isLent ? 0o037 : 0o077))
    throw new Error(`others can read ${path}; run: chmod 600 ${path}`);
}

const SYNTAX =
  'a key is an id, a secret (hex:, base64:, text:, passphrase:), ' +
  'and options (dialects=, audience=, not-before=, not-after=), each once';

/**
 * Parses lines such as `id hex:secret audience=name not-after=2027-01-31`, which the page
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
    const key = parseKey(fields);
    // It repeats nothing of a secret.
    if (!key) throw new Error(`line ${index + 1}: ${SYNTAX}`);
    if (key.dialects.split(',').includes('countersign/1')) keys.push(key);
  }
  if (keys.length === 0) throw new Error('there is no key for countersign/1');
  return new KeyRing(keys);
}

/** A key, or undefined if the line is faulty. */
function parseKey(fields) {
  const [id, secret, ...options] = fields;
  const key = { id, secret: parseSecret(id, secret), dialects: 'countersign/1' };
  const names = new Set();
  for (const option of options) {
    const [, name, value] = /^([^=]+)=(.+)$/.exec(option) ?? [];
    if (names.has(name)) return undefined;
    names.add(name);
    if (name === 'dialects') key.dialects = value;
    else if (name === 'audience') key.audience = value;
    else if (name === 'not-before') key.notBefore = parseDate(value, 0);
    else if (name === 'not-after') key.notAfter = parseDate(value, 24 * 60 * 60 * 1000 - 1);
    else return undefined;
  }
  // What nobody can see would make a key that nobody can name.
  const isWord = ![id, key.audience].some((word) => /\p{Cc}/u.test(word));
  if (bytes(key.audience ?? '').length > 64) return undefined;
  const dialects = ['countersign/1', 'raw', 'hex', 'multiprocessing'];
  if (!key.dialects.split(',').every((dialect) => dialects.includes(dialect))) return undefined;
  return isWord && !Object.values(key).includes(undefined) ? key : undefined;
}

function parseSecret(id, field) {
  const [, encoding, text] = /^([^:]*):(.+)$/.exec(field) ?? [];
  if (encoding === 'text') return Buffer.from(text);
  if (encoding === 'hex' && /^([0-9a-f]{2})*$/i.test(text)) return Buffer.from(text, 'hex');
  if (encoding === 'base64' && /^[0-9a-z+/]*=*$/i.test(text)) return Buffer.from(text, 'base64');
  if (encoding !== 'passphrase') return undefined;
  return crypto.pbkdf2Sync(text, `countersign/1 pass${id}`, 600_000, 32, 'sha256');
}

/** A day, of which so many milliseconds are included, or an instant. */
function parseDate(text, included) {
  const [, day, time] = /^(\d{4}-\d\d-\d\d)(T[\d:.]+(?:Z|[+-][\d:]+))?$/.exec(text) ?? [];
  const date = new Date(text);
  // A 30th of February would be taken for a day in March.
  const isDay = new Date(day).toJSON()?.startsWith(day);
  if (!isDay || Number.isNaN(date.getTime())) return undefined;
  return new Date(Math.max(0, date.getTime() + (time ? 0 : included)));
}

// What both ends send, in bytes.

const bytes = (part) => (typeof part === 'string' ? Buffer.from(part) : part);
const join = (...parts) => Buffer.concat(parts.map(bytes));
const mac = (key, ...parts) =>
  crypto
    .createHmac('sha256', key)
    .update(join(...parts))
    .digest();
/** @type {(options: Options) => Options} */
const defined = (options) =>
  /** @type {any} */ (
    Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  );
const isSame = (one, other) => one.length === other.length && crypto.timingSafeEqual(one, other);
const header = (type, length) => join(number(type, 1), number(length, 3));
const frame = (type, ...body) => join(header(type, join(...body).length), ...body);
const sized = (text) => join(number(bytes(text).length, 1), text);

/** An integer in so many bytes. */
function number(value, size) {
  const all = Buffer.alloc(8);
  all.writeBigUInt64BE(BigInt(value));
  return all.subarray(8 - size);
}

/** Takes bytes apart. */
class Parser {
  constructor(data) {
    this.data = data;
  }
  take(size) {
    check(size <= this.data.length, 'a field reaches past the end');
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
    check(this.number(2) === this.data.length, 'the extensions have another length');
    while (this.data.length > 0) {
      const id = this.number(2);
      check(!found.has(id), 'an extension occurs twice');
      found.set(id, this.take(this.number(2)));
    }
    return found;
  }
}

/** What both ends derive from the key and from all that was said. */
function derive(prk, nonce, call, unsigned) {
  const transcript = join('countersign/1 th', nonce, call, unsigned);
  const th = crypto.createHash('sha256').update(transcript).digest();
  const keys = [Buffer.alloc(0)]; // HKDF-Expand, whose blocks are as long as the keys
  for (let i = 1; i <= 5; i++)
    keys.push(mac(prk, keys[i - 1], 'countersign/1 keys', th, number(i, 1)));
  const [, serverFin, clientFin, s2c, c2s, exporter] = keys;
  const macS = mac(serverFin, 'countersign/1 server', th);
  const macC = mac(clientFin, 'countersign/1 client', th, macS);
  return { s2c, c2s, exporter, macS, macC };
}

/** The records of one direction. */
class Direction {
  /** The number of the next record, whatever its type. */
  #number = 0;
  /** The key that seals, if that was agreed on. */
  #sealer;

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
    const cipher = this.#cipher(crypto.createCipheriv, head, payload);
    return join(head, cipher.update(payload), cipher.final(), cipher.getAuthTag());
  }
  open(head, body) {
    const [payload, tag] = [body.subarray(0, -TAG), body.subarray(-TAG)];
    if (!this.#sealer) {
      check(isSame(tag, this.#tag(head, payload)), 'a record has a wrong tag');
      return payload;
    }
    const cipher = this.#cipher(crypto.createDecipheriv, head, payload).setAuthTag(tag);
    try {
      return join(cipher.update(payload), cipher.final());
    } catch {
      throw new CountersignError('PROTOCOL', 'a record has a wrong tag');
    }
  }
  #tag(head, payload) {
    return mac(this.key, number(this.#number++, 8), head, payload).subarray(0, TAG);
  }
  #cipher(create, head, payload) {
    const nonce = join(Buffer.alloc(4), number(this.#number++, 8));
    const cipher = create('chacha20-poly1305', this.#sealer, nonce, { authTagLength: TAG });
    return cipher.setAAD(head, { plaintextLength: payload.length });
  }
}

/** The messages of a batch, all or none. */
function split(payload) {
  const [parser, messages] = [new Parser(payload), []];
  do messages.push(parser.take(parser.number(3)));
  while (parser.data.length > 0);
  return messages;
}

/** A frame with its header, which is judged before the body is awaited. */
function* takeFrame(type, least, most) {
  const head = yield 4;
  const length = head.readUIntBE(1, 3);
  const isRefusal = head[0] === REFUSAL && length === 1;
  if (isRefusal && (type === ANSWER || type === ACCEPT)) throw refused((yield 1)[0]);
  check(head[0] === type && length >= least && length <= most, 'an unexpected frame');
  return join(head, yield length);
}

/**
 * One end of a connection, without a socket: it is given what arrives, and says what to send.
 *
 * @typedef {object} Options
 * @property {KeyRing} keys
 * @property {string} [keyId] the key of a client; by default the first of the ring
 * @property {string[]} [audiences] those that a server serves; a client means the first
 * @property {boolean} [sealed] whether records are encrypted, or else there are none
 * @property {number} [maxRecord] the longest record that is accepted; by default 64 KiB and a tag
 * @property {number} [handshakeTimeout] in milliseconds; by default 10 s
 * @property {AbortSignal} [signal] ends a connection
 * @property {Buffer} [nonce] 32 random bytes
 */
export class Session {
  /** The key that both ends hold, when the handshake is done. */
  key = undefined;
  /** Called when the handshake is done, before anything that follows it is looked at. */
  onOpen = () => {};
  /** Whether the peer has said that it sends no more. */
  isFinished = false;
  #isEnded = false;
  #output = [];
  #input = [];
  #arrived = 0;
  #needed = 0;
  /** What precedes a refusal; undefined where there is to be none. */
  #owed;
  #exporter;
  #in;
  #out;
  #steps = this.#run();

  /**
   * @param {'client' | 'server'} role
   * @param {Options} options
   */
  constructor(role, options) {
    const nonce = crypto.randomBytes(32);
    this.options = { audiences: [''], maxRecord: 65536 + TAG, nonce, ...defined(options) };
    this.role = role;
    this.extensions = Buffer.from(options.sealed ? '00050001000101' : '0000', 'hex');
    this.#needed = this.#steps.next().value;
  }

  /** Yields the messages in what has arrived. An error ends the session. */
  *receive(chunk) {
    this.#input.push(chunk);
    this.#arrived += chunk.length;
    while (this.#arrived >= this.#needed) {
      // What is whole already is not copied for each record in it.
      const arrived = this.#input.length === 1 ? this.#input[0] : join(...this.#input);
      this.#input = [arrived.subarray(this.#needed)];
      this.#arrived -= this.#needed;
      let step = this.#steps.next(arrived.subarray(0, this.#needed));
      for (; Array.isArray(step.value); step = this.#steps.next()) yield* step.value;
      this.#needed = step.value;
    }
  }
  /** The peer's stream has ended. */
  end() {
    check(this.isFinished, 'the stream was cut off', 'TRUNCATED');
  }
  /** The handshake takes too long. */
  expire() {
    this.#steps.throw(new CountersignError('TIMEOUT', 'the handshake took too long'));
  }
  /** Sends messages. What goes out together is one batch, if it is short enough. */
  send(...messages) {
    const limit = this.#out.limit - TAG;
    const isFit = messages.every((message) => message.length <= limit);
    check(isFit, 'the message is longer than the peer accepts', 'TOO_LONG');
    const together = join(...messages.flatMap((message) => [number(message.length, 3), message]));
    if (messages.length > 1 && together.length <= Math.min(limit, MAX_BATCH - TAG))
      this.#output.push(this.#out.seal(BATCH, together));
    else for (const message of messages) this.#output.push(this.#out.seal(DATA, message));
  }
  /** Tells the peer that no more messages come. */
  finish() {
    if (!this.#isEnded) this.#output.push(this.#out.seal(CLOSE, Buffer.alloc(0)));
    this.#isEnded = true;
  }
  /** What has to be sent. */
  takeOutput() {
    return join(...this.#output.splice(0));
  }
  /** 32 bytes that both ends derive from the same label. */
  secret(label) {
    return mac(this.#exporter, label);
  }

  *#run() {
    try {
      yield* this.role === 'client' ? this.#dial() : this.#serve();
    } catch (error) {
      const codes = { REFUSED: error.refusal, PROTOCOL: MALFORMED, TIMEOUT: TIMED_OUT };
      const code = codes[error.code];
      if (!this.#owed || code === undefined) throw error;
      this.#output.push(this.#owed, frame(REFUSAL, number(code, 1)));
      throw refused(code);
    }
    yield* this.#records();
  }

  *#dial() {
    const { keys, keyId, audiences, maxRecord } = this.options;
    const key = keys.named(keyId);
    const offer = [number(0x0101, 2), number(RECORDS | REQUIRED, 2), number(maxRecord, 4)];
    const names = [keys.instance, sized(key.id), sized(audiences[0]), this.extensions];
    const call = join(MAGIC, frame(HELLO, ...offer, this.options.nonce, ...names));
    this.#output.push(call);
    const nonce = yield 32;
    const answer = yield* takeFrame(ANSWER, 58, 508);
    const [unsigned, proof] = [answer.subarray(0, -32), answer.subarray(-32)];
    const secrets = derive(key.prk, nonce, call, unsigned);
    const parser = new Parser(unsigned.subarray(4));
    const [choice, limit, instance] = [parser.number(4), parser.number(4), parser.take(16)];
    check(
      isSame(proof, secrets.macS),
      'the server did not prove that it holds the key',
      'UNPROVED',
    );
    check(!isSame(instance, keys.instance), 'the peer is this program itself', 'SELF');
    check(choice === 0x01000001 && limit >= MIN_RECORD, 'the server did not choose records');
    check(isSame(parser.data, this.extensions), 'the server did not choose what was offered');
    this.#output.push(frame(CONFIRM, secrets.macC));
    const accepted = yield* takeFrame(ACCEPT, 17, 17);
    const [from, to] = [new Direction(secrets.s2c, maxRecord), new Direction(secrets.c2s, limit)];
    check(isSame(accepted, from.seal(ACCEPT, number(0, 1))), 'a false accept');
    this.#open(key, secrets.exporter, from, to);
  }

  *#serve() {
    check(isSame(yield MAGIC.length, MAGIC), 'the client speaks another protocol', 'FOREIGN');
    const { keys, audiences, maxRecord } = this.options;
    this.#owed = this.options.nonce;
    const call = yield* takeFrame(HELLO, 0, 500);
    const offer = this.#parseOffer(new Parser(call.subarray(4)));
    const key = keys.find(offer.keyId, offer.audience, audiences);
    const choice = [number(0x01000001, 4), number(maxRecord, 4), keys.instance, this.extensions];
    const unsigned = frame(ANSWER, ...choice, Buffer.alloc(32)).subarray(0, -32);
    const secrets = derive(key.prk, this.options.nonce, join(MAGIC, call), unsigned);
    this.#output.push(this.options.nonce, unsigned, secrets.macS);
    this.#owed = Buffer.alloc(0);
    const proof = yield* takeFrame(CONFIRM, 32, 32);
    if (!isSame(proof.subarray(4), secrets.macC) || key === keys.decoy) throw refused(REFUSED);
    const from = new Direction(secrets.c2s, maxRecord);
    const to = new Direction(secrets.s2c, offer.limit);
    this.#output.push(to.seal(ACCEPT, number(0, 1)));
    this.#owed = undefined;
    this.#open(key, secrets.exporter, from, to);
  }

  /** Nothing here depends on the keys. */
  #parseOffer(parser) {
    const [least, most] = [parser.number(1), parser.number(1)];
    check(least <= most, 'no version');
    if (least > 1 || most < 1) throw refused(VERSION);
    const [flags, limit] = [parser.number(2), parser.number(4)];
    const instance = parser.take(48).subarray(32);
    const [keyId, audience] = [parser.take(parser.number(1)), parser.take(parser.number(1))];
    const suites = parser.extensions().get(SEALING);
    const hasRecords = (flags & RECORDS) !== 0;
    check(limit >= MIN_RECORD, 'the longest record is too short');
    check(keyId.length >= 1 && keyId.length <= 64 && audience.length <= 64, 'a name is too long');
    check(hasRecords || !(flags & REQUIRED), 'records are required, and not offered');
    check(!suites || (hasRecords && suites.length > 0), 'there are no suites, or no records');
    check(new Set(suites).size === (suites?.length ?? 0), 'a suite occurs twice');
    check(!isSame(instance, this.options.keys.instance), 'the peer is this program itself', 'SELF');
    if (!hasRecords || (this.options.sealed && !suites?.includes(1))) throw refused(REFUSED);
    return { keyId, audience, limit };
  }

  #open(key, exporter, from, to) {
    [this.key, this.#exporter, this.#in, this.#out] = [key, exporter, from, to];
    if (this.options.sealed) [from, to].forEach((direction) => direction.beginSealing());
    this.onOpen();
  }

  *#records() {
    while (!this.isFinished) {
      const head = yield 4;
      const [type, length] = [head[0], head.readUIntBE(1, 3)];
      check(type >= DATA && type <= BATCH, 'an unknown type of record');
      check(length >= TAG && length <= this.#in.limit, 'a record is too short or too long');
      const payload = this.#in.open(head, yield length);
      check(type !== PING || payload.length <= MAX_PING, 'a ping is too long');
      check(type !== CLOSE || payload.length === 0, 'a close has a payload');
      if (type === DATA) yield [payload];
      if (type === BATCH) yield split(payload);
      if (type === PING && !this.#isEnded) this.#output.push(this.#out.seal(PONG, payload));
      this.isFinished = type === CLOSE;
    }
    yield 1;
    check(false, 'something follows a close');
  }
}

/**
 * A stream of messages over a socket. Each chunk that is read or written is a message, and messages
 * that are written together go out together. A stream that is cut off ends with an error. `secure` is
 * emitted when both ends are authenticated; write nothing before. The socket needs `allowHalfOpen`.
 */
export class Connection extends Duplex {
  #socket;
  #session;
  #deadline;
  #isLingering = false;

  /**
   * @param {net.Socket} socket
   * @param {'client' | 'server'} role
   * @param {Options} options
   */
  constructor(socket, role, options) {
    super({ readableObjectMode: true, signal: options.signal });
    this.#socket = socket;
    this.#session = new Session(role, options);
    this.#session.onOpen = () => this.#opened();
    const expire = () => this.#attempt(() => this.#session.expire());
    this.#deadline = setTimeout(expire, options.handshakeTimeout ?? 10_000);
    const end = () => this.#attempt(() => this.#session.end());
    socket.on('data', (chunk) => this.#attempt(() => this.#receive(chunk)));
    socket.on('end', end).on('close', end);
    socket.on('error', (error) => this.destroy(error));
    this.#flush();
  }
  /** The key that both ends hold, once they are authenticated. */
  get key() {
    return this.#session.key;
  }
  /** 32 bytes that both ends derive from the same label, once they are authenticated. */
  secret(label) {
    return this.#session.secret(label);
  }

  #opened() {
    clearTimeout(this.#deadline);
    process.nextTick(() => this.destroyed || this.emit('secure'));
  }

  #receive(chunk) {
    let isWanted = true;
    for (const message of this.#session.receive(chunk)) isWanted = this.push(message);
    if (this.#session.isFinished) this.push(null);
    if (!isWanted) this.#socket.pause();
    this.#flush();
  }

  #flush(done) {
    const output = this.#session.takeOutput();
    if (output.length > 0) this.#socket.write(output, done);
    else done?.();
  }

  #attempt(work) {
    if (this.destroyed) return;
    try {
      work();
    } catch (error) {
      if (error.code === 'REFUSED' && this.#session.role === 'server') this.#linger();
      this.destroy(error);
    }
  }

  /** Lets the client read why: if the socket were closed at once, that could get lost. */
  #linger() {
    this.#isLingering = true;
    let budget = LINGER_BYTES;
    this.#socket.on('data', (chunk) => (budget -= chunk.length) < 0 && this.#socket.destroy());
    setTimeout(() => this.#socket.destroy(), LINGER_TIME).unref();
    this.#socket.end(this.#session.takeOutput());
  }

  _read() {
    this.#socket.resume();
  }
  _writev(chunks, done) {
    try {
      this.#session.send(...chunks.map(({ chunk }) => chunk));
    } catch (error) {
      return done(error);
    }
    this.#flush(done);
  }
  _final(done) {
    this.#session.finish();
    this.#socket.end(this.#session.takeOutput(), done);
  }
  _destroy(error, done) {
    clearTimeout(this.#deadline);
    if (!this.#isLingering) this.#socket.destroy();
    done(error);
  }
}

/**
 * Connects to a server, and resolves when both ends are authenticated.
 *
 * @param {Options & net.NetConnectOpts} options
 * @returns {Promise<Connection>}
 */
export async function connect(options) {
  options.keys.named(options.keyId); // These fail before there is a socket.
  checkAudiences(options);
  const socket = net.connect({ noDelay: true, ...options, allowHalfOpen: true });
  const connection = new Connection(socket, 'client', options);
  await new Promise((resolve, reject) => {
    connection.once('error', reject).once('secure', resolve);
    // A caller who has the stream by now listens to it.
    connection.once('secure', () => setImmediate(() => connection.off('error', reject)));
  });
  return connection;
}

/** @param {Options} options */
function checkAudiences({ audiences }) {
  if (audiences?.length === 0) throw new RangeError("audiences: name one; the default is ['']");
}

/**
 * A server that calls `listener` for each authenticated client. What goes wrong on a connection is
 * emitted by the server, as `clientError`.
 *
 * @param {Options} options
 * @param {(connection: Connection) => void} listener
 */
export function createServer(options, listener) {
  checkAudiences(options);
  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const connection = new Connection(socket, 'server', options);
    connection.on('error', (error) => server.emit('clientError', error, connection));
    connection.on('secure', () => listener(connection));
  });
  return server;
}
