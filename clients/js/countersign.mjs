// @ts-check
/**
 * countersign/1: both ends of a connection prove that they hold the same key, and from then on
 * nobody on the path can change, replay, drop or truncate a message unnoticed.
 */
import * as net from 'node:net';
import { Duplex } from 'node:stream';
import { CountersignError } from './records.mjs';
import { Session } from './session.mjs';

export { CountersignError, Session };
export { KeyRing, parseKeys, readKeyFile } from './keys.mjs';

/** What a server takes from a client that it has refused, until the client goes. */
const [LINGER_TIME, LINGER_BYTES] = [1000, 65536];

/**
 * @typedef {object} StreamOptions
 * @property {number} [handshakeTimeout] in milliseconds; by default 10 s
 * @property {AbortSignal} [signal]
 * @typedef {import('./session.mjs').Options & StreamOptions} Options
 */

/**
 * A stream of messages over a socket. Each chunk that is read or written is a message, and messages
 * that are written together go out together. A stream that is cut off ends with an error. `secure` is
 * emitted when both ends are authenticated. The socket needs `allowHalfOpen`.
 */
export class Connection extends Duplex {
  #socket;
  #session;
  #deadline;
  #isLingering = false;
  /** What waits for the handshake. */
  #whenOpen = () => {};

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
    this.#deadline = setTimeout(
      () => this.#attempt(() => this.#session.expire()),
      options.handshakeTimeout ?? 10_000,
    );
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
    this.#whenOpen();
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
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_TIME);
    this.#socket.on('close', () => clearTimeout(timer));
    this.#socket.end(this.#session.takeOutput());
  }

  /** Runs this when the handshake is done. Its errors are the stream's. */
  #afterOpening(work, done) {
    const attempt = () => {
      try {
        work();
      } catch (error) {
        done(error);
      }
    };
    if (this.key) attempt();
    else this.#whenOpen = attempt;
  }

  _read() {
    this.#socket.resume();
  }

  _write(chunk, _encoding, done) {
    this._writev([{ chunk }], done);
  }

  _writev(chunks, done) {
    this.#afterOpening(() => {
      this.#session.send(...chunks.map(({ chunk }) => chunk));
      this.#flush(done);
    }, done);
  }

  _final(done) {
    this.#afterOpening(() => {
      this.#session.finish();
      this.#socket.end(this.#session.takeOutput(), done);
    }, done);
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
  options.keys.named(options.keyId); // It fails before there is a socket.
  const socket = net.connect({ noDelay: true, ...options, allowHalfOpen: true });
  const connection = new Connection(socket, 'client', options);
  await new Promise((resolve, reject) => {
    connection.once('error', reject).once('secure', resolve);
    // A caller who has the stream by now listens to it.
    connection.once('secure', () => setImmediate(() => connection.off('error', reject)));
  });
  return connection;
}

/**
 * A server that calls `listener` for each authenticated client. What goes wrong on a connection is
 * emitted by the server, as `clientError`.
 *
 * @param {Options} options
 * @param {(connection: Connection) => void} listener
 */
export function createServer(options, listener) {
  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const connection = new Connection(socket, 'server', options);
    connection.on('error', (error) => server.emit('clientError', error, connection));
    connection.on('secure', () => listener(connection));
  });
  return server;
}
