// @ts-check
/**
 * countersign/1 without a socket, as the page src/manual/protocol.md describes it. A `Session` is
 * given what arrives, and says what to send.
 */
import * as crypto from 'node:crypto';
import { BATCH, CLOSE, DATA, PING, PONG, TAG } from './records.mjs';
import { CountersignError, Direction, Parser } from './records.mjs';
import { broken, bytes, header, isSame, join, mac, number, refused, split } from './records.mjs';

const [HELLO, ANSWER, CONFIRM, ACCEPT, REFUSAL] = [1, 2, 3, 4, 5];
const MAGIC = Buffer.from('\x9ecsgn/1\n', 'latin1');
const [RECORDS, REQUIRED] = [1, 2];
const [MIN_RECORD, MAX_PING] = [1024, 125];
const [VERSION, REFUSED, MALFORMED, TIMED_OUT] = [1, 2, 4, 5];
const SEALING = 1;
/** The extensions of both hellos: none, or the one that seals, with suite 1. */
const [UNSEALED, SEALED] = [Buffer.from('0000', 'hex'), Buffer.from('00050001000101', 'hex')];

const sized = (text) => join(number(bytes(text).length, 1), text);
const frame = (type, body) => join(header(type, body.length), body);
const ownRing = () => new CountersignError('SELF', 'the peer is this program itself');

/** What both ends derive from the key and from all that was said. */
function derive(prk, nonce, call, unsigned) {
  const transcript = join('countersign/1 th', nonce, call, unsigned);
  const th = crypto.createHash('sha256').update(transcript).digest();
  const keys = [Buffer.alloc(0)];
  for (let i = 1; i <= 5; i++) {
    keys.push(mac(prk, keys[i - 1], 'countersign/1 keys', th, number(i, 1)));
  }
  const [, serverFin, clientFin, s2c, c2s, exporter] = keys;
  const macS = mac(serverFin, 'countersign/1 server', th);
  const macC = mac(clientFin, 'countersign/1 client', th, macS);
  return { s2c, c2s, exporter, macS, macC };
}

/** A frame with its header, which is judged before the body is awaited. */
function* takeFrame(type, least, most) {
  const head = yield 4;
  const length = head.readUIntBE(1, 3);
  const isRefusal = head[0] === REFUSAL && length === 1;
  if (isRefusal && (type === ANSWER || type === ACCEPT)) throw refused((yield 1)[0]);
  if (head[0] !== type || length < least || length > most) throw broken('an unexpected frame');
  return join(head, yield length);
}

/**
 * One end of a connection.
 *
 * @typedef {object} Options
 * @property {import('./keys.mjs').KeyRing} keys
 * @property {string} [keyId] the key of a client; by default the first of the ring
 * @property {string[]} [audiences] those that a server serves; a client means the first
 * @property {boolean} [sealed] whether records are encrypted, or else there are none
 * @property {number} [maxRecord] the longest record that is accepted; by default 64 KiB and a tag
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
    this.options = { audiences: [''], maxRecord: 65536 + TAG, ...options };
    this.options.nonce ??= crypto.randomBytes(32);
    this.role = role;
    this.extensions = options.sealed ? SEALED : UNSEALED;
    this.#needed = this.#steps.next().value;
  }

  /** Yields the messages in what has arrived. An error ends the session. */
  *receive(chunk) {
    this.#input.push(chunk);
    this.#arrived += chunk.length;
    while (this.#arrived >= this.#needed) {
      // What is whole already is not copied for each record in it.
      const arrived = this.#input.length === 1 ? this.#input[0] : Buffer.concat(this.#input);
      this.#input = [arrived.subarray(this.#needed)];
      this.#arrived -= this.#needed;
      let step = this.#steps.next(arrived.subarray(0, this.#needed));
      while (Array.isArray(step.value)) {
        yield* step.value;
        step = this.#steps.next();
      }
      this.#needed = step.done ? Infinity : step.value;
    }
  }

  /** The peer's stream has ended. */
  end() {
    if (!this.isFinished) throw new CountersignError('TRUNCATED', 'the stream was cut off');
  }

  /** The handshake takes too long. */
  expire() {
    const code = this.#owed ? refused(TIMED_OUT) : new CountersignError('TIMEOUT', 'timed out');
    this.#steps.throw(code);
  }

  /** Sends messages. Several at once cost little more than one. */
  send(...messages) {
    if (messages.some((message) => message.length + TAG > this.#out.limit)) {
      throw new CountersignError('TOO_LONG', 'the message is longer than the peer accepts');
    }
    this.#output.push(...this.#out.sealMessages(messages));
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
      const code = error.refusal ?? (error.code === 'PROTOCOL' ? MALFORMED : undefined);
      if (!this.#owed || code === undefined) throw error;
      this.#output.push(this.#owed, frame(REFUSAL, number(code, 1)));
      throw refused(code);
    }
    yield* this.#records();
  }

  *#dial() {
    const { keys, keyId, audiences, nonce, maxRecord } = this.options;
    const key = keys.named(keyId);
    const offer = [number(0x0101, 2), number(RECORDS | REQUIRED, 2), number(maxRecord, 4), nonce];
    const names = [keys.instance, sized(key.id), sized(audiences[0]), this.extensions];
    const call = join(MAGIC, frame(HELLO, join(...offer, ...names)));
    this.#output.push(call);
    const nonceS = yield 32;
    const reply = yield* takeFrame(ANSWER, 58, 508);
    const unsigned = reply.subarray(0, -32);
    const secrets = derive(key.prk, nonceS, call, unsigned);
    if (!isSame(reply.subarray(-32), secrets.macS)) {
      throw new CountersignError('UNPROVED', 'the server did not prove that it holds the key');
    }
    const parser = new Parser(unsigned.subarray(4));
    const [choice, limit, instance] = [parser.number(4), parser.number(4), parser.take(16)];
    if (isSame(instance, keys.instance)) throw ownRing();
    if (choice !== 0x01000001 || limit < MIN_RECORD || !isSame(parser.data, this.extensions)) {
      throw broken('the server did not choose what was required');
    }
    this.#output.push(frame(CONFIRM, secrets.macC));
    const accepted = yield* takeFrame(ACCEPT, 17, 17);
    this.#in = new Direction(secrets.s2c, maxRecord);
    this.#out = new Direction(secrets.c2s, limit);
    if (!isSame(accepted, this.#in.seal(ACCEPT, number(0, 1)))) throw broken('a false accept');
    this.#open(key, secrets);
  }

  *#serve() {
    if (!isSame(yield MAGIC.length, MAGIC)) {
      throw new CountersignError('FOREIGN', 'the client speaks another protocol');
    }
    const { keys, audiences, nonce, maxRecord } = this.options;
    this.#owed = nonce;
    const call = yield* takeFrame(HELLO, 0, 500);
    const offer = this.#parseOffer(new Parser(call.subarray(4)));
    const key = keys.find(offer.keyId, offer.audience, audiences);
    const choice = [number(0x01000001, 4), number(maxRecord, 4), keys.instance, this.extensions];
    const signed = frame(ANSWER, join(...choice, Buffer.alloc(32)));
    const unsigned = signed.subarray(0, -32);
    const secrets = derive(key.prk, nonce, join(MAGIC, call), unsigned);
    this.#output.push(nonce, unsigned, secrets.macS);
    this.#owed = Buffer.alloc(0);
    const proof = yield* takeFrame(CONFIRM, 32, 32);
    if (!isSame(proof.subarray(4), secrets.macC) || key === keys.decoy) throw refused(REFUSED);
    this.#in = new Direction(secrets.c2s, maxRecord);
    this.#out = new Direction(secrets.s2c, offer.limit);
    this.#output.push(this.#out.seal(ACCEPT, number(0, 1)));
    this.#owed = undefined;
    this.#open(key, secrets);
  }

  /** Nothing here depends on the keys. */
  #parseOffer(parser) {
    const [least, most] = [parser.number(1), parser.number(1)];
    if (least > most) throw broken('no version');
    if (least > 1 || most < 1) throw refused(VERSION);
    const [flags, limit, instance] = [
      parser.number(2),
      parser.number(4),
      parser.take(48).subarray(32),
    ];
    const [keyId, audience] = [parser.take(parser.number(1)), parser.take(parser.number(1))];
    const suites = parser.extensions().get(SEALING);
    const hasRecords = (flags & RECORDS) !== 0;
    if (limit < MIN_RECORD || keyId.length < 1 || keyId.length > 64 || audience.length > 64) {
      throw broken('a field is too long or too short');
    }
    if (flags & REQUIRED && !hasRecords) throw broken('records are required, and not offered');
    if (suites && (!hasRecords || suites.length === 0 || new Set(suites).size < suites.length)) {
      throw broken('no good suites');
    }
    if (isSame(instance, this.options.keys.instance)) throw ownRing();
    if (!hasRecords || (this.options.sealed && !suites?.includes(1))) throw refused(REFUSED);
    return { keyId, audience, limit };
  }

  #open(key, secrets) {
    this.key = key;
    this.#exporter = secrets.exporter;
    if (this.options.sealed) [this.#in, this.#out].forEach((direction) => direction.beginSealing());
    this.onOpen();
  }

  *#records() {
    for (;;) {
      const head = yield 4;
      const [type, length] = [head[0], head.readUIntBE(1, 3)];
      if (type < DATA || type > BATCH || length < TAG || length > this.#in.limit) {
        throw broken('an unexpected record');
      }
      const payload = this.#in.open(head, yield length);
      if (type === DATA) yield [payload];
      if (type === BATCH) yield split(payload);
      if (type === PING && payload.length > MAX_PING) throw broken('a ping is too long');
      if (type === PING && !this.#isEnded) this.#output.push(this.#out.seal(PONG, payload));
      if (type === CLOSE && payload.length > 0) throw broken('a close has a payload');
      if (type === CLOSE) {
        this.isFinished = true;
        yield 1;
        throw broken('something follows a close');
      }
    }
  }
}
