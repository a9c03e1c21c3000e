// Package countersign speaks countersign/1: both ends of a connection prove that they hold the same
// key. From then on nobody on the path can change, replay, drop or truncate a message unnoticed.
// A Conn wraps a net.Conn, as in crypto/tls.
package countersign

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A Conn is a net.Conn whose peer is authenticated. One goroutine may read while another writes.
type Conn struct {
	net.Conn
	config   Config
	isClient bool

	handshakeMu  sync.Mutex
	session      *session
	handshakeErr error

	readMu   sync.Mutex
	reader   *bufio.Reader // keeps a record until all of it has arrived
	messages [][]byte      // those of the last record that are not read yet
	readErr  error

	writeMu  sync.Mutex
	writeErr error
}

// Client returns the client's end of a connection. The first read or write shakes hands.
func Client(conn net.Conn, config *Config) *Conn { return newConn(conn, *config, true) }

// Server returns the server's end of a connection.
func Server(conn net.Conn, config *Config) *Conn { return newConn(conn, *config, false) }

func newConn(conn net.Conn, config Config, isClient bool) *Conn {
	config.setDefaults()
	reader := bufio.NewReaderSize(conn, 512)
	return &Conn{Conn: conn, config: config, isClient: isClient, reader: reader}
}

// Dial connects, and returns when both ends are authenticated.
func Dial(ctx context.Context, network, address string, config *Config) (*Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := Client(conn, config)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Handshake authenticates both ends, unless that is done.
func (c *Conn) Handshake() error { return c.HandshakeContext(context.Background()) }

// HandshakeContext is Handshake while the context lasts. If it fails, the connection is closed.
func (c *Conn) HandshakeContext(ctx context.Context) error {
	c.handshakeMu.Lock()
	defer c.handshakeMu.Unlock()
	if c.session != nil || c.handshakeErr != nil {
		return c.handshakeErr
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.HandshakeTimeout)
	defer cancel()
	finished, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-ctx.Done():
			c.Conn.SetDeadline(time.Unix(1, 0))
		case <-finished:
		}
	}()
	c.session, c.handshakeErr = c.handshake(ctx)
	close(finished)
	<-watched
	err := c.handshakeErr
	if ctx.Err() != nil && (err == nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		c.session, c.handshakeErr = nil, ctx.Err()
	}
	if c.handshakeErr != nil {
		c.Conn.Close()
		return c.handshakeErr
	}
	c.reader = bufio.NewReaderSize(c.reader, 4+c.config.MaxRecord) // A stranger gets 512 bytes.
	return nil
}

func (c *Conn) handshake(ctx context.Context) (*session, error) {
	nonce := make([]byte, 32)
	if _, err := io.ReadFull(c.config.Rand, nonce); err != nil {
		return nil, err
	}
	if c.isClient {
		key, err := c.config.Keys.named(c.config.KeyID)
		if err != nil {
			return nil, err
		}
		return c.config.dial(c.reader, c.Conn, key, nonce)
	}
	return c.serve(ctx, nonce)
}

// KeyID names the key that both ends hold. It is empty before the handshake.
func (c *Conn) KeyID() string {
	c.handshakeMu.Lock()
	defer c.handshakeMu.Unlock()
	if c.session == nil {
		return ""
	}
	return c.session.key.ID
}

// Secret returns 32 bytes that both ends derive from the same label, and nil before the handshake.
func (c *Conn) Secret(label string) []byte {
	c.handshakeMu.Lock()
	defer c.handshakeMu.Unlock()
	if c.session == nil {
		return nil
	}
	return mac(c.session.exporter, []byte(label))
}

// ReadMessage returns the next message. It is io.EOF when the peer has said that it sends no more.
func (c *Conn) ReadMessage() ([]byte, error) {
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if err := c.fill(); err != nil {
		return nil, err
	}
	message := c.messages[0]
	c.messages = c.messages[1:]
	return message, nil
}

// Read reads from one message. What does not fit is read next.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.Handshake(); err != nil || len(p) == 0 {
		return 0, err
	}
	c.readMu.Lock()
	defer c.readMu.Unlock()
	for {
		if err := c.fill(); err != nil {
			return 0, err
		}
		count := copy(p, c.messages[0])
		if count < len(c.messages[0]) {
			c.messages[0] = c.messages[0][count:]
		} else {
			c.messages = c.messages[1:]
		}
		if count > 0 {
			return count, nil
		}
	}
}

// fill reads records until there is a message.
func (c *Conn) fill() error {
	for len(c.messages) == 0 {
		if c.readErr != nil {
			return c.readErr
		}
		err := c.readRecord()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return err // What has arrived is still there when it is read again.
		}
		if err == ErrProtocol {
			c.Conn.Close()
		}
		c.readErr = err
	}
	return nil
}

func (c *Conn) readRecord() error {
	head, err := peek(c.reader, 4)
	if err != nil {
		return err
	}
	in, kind, length := c.session.in, head[0], int(binary.BigEndian.Uint32(head)&maxRecord)
	if length < tagSize || length > in.limit || kind < data || kind > batch {
		return ErrProtocol
	}
	record, err := take(c.reader, 4+length)
	if err != nil {
		return err
	}
	payload, isGenuine := in.open(record)
	switch {
	case !isGenuine, kind == ping && len(payload) > maxPing,
		kind == closing && (len(payload) > 0 || c.reader.Buffered() > 0):
		return ErrProtocol
	case kind == data:
		c.messages = [][]byte{payload}
	case kind == batch:
		c.messages, err = split(payload)
	case kind == ping:
		err = c.pong(payload)
	case kind == closing:
		err = io.EOF
	}
	return err
}

func (c *Conn) pong(payload []byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.writeErr == net.ErrClosed {
		return nil
	}
	return c.flush(c.session.out.seal(nil, pong, payload))
}

// flush writes records. If one is not written as a whole, no other can follow.
func (c *Conn) flush(records []byte) error {
	if c.writeErr == nil {
		_, c.writeErr = c.Conn.Write(records)
	}
	return c.writeErr
}

// WriteMessages sends messages. Several at once cost little more than one.
func (c *Conn) WriteMessages(messages ...[]byte) error {
	if err := c.Handshake(); err != nil {
		return err
	}
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.writeErr != nil {
		return c.writeErr
	}
	records, err := c.session.out.sealMessages(messages)
	if err != nil {
		return err
	}
	return c.flush(records)
}

// Write sends one message, or several if the peer accepts none that is so long.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.Handshake(); err != nil {
		return 0, err
	}
	var messages [][]byte
	longest := c.session.out.limit - tagSize
	for rest := p; len(rest) > 0; rest = rest[len(messages[len(messages)-1]):] {
		if len(rest) < longest {
			longest = len(rest)
		}
		messages = append(messages, rest[:longest])
	}
	if err := c.WriteMessages(messages...); err != nil {
		return 0, err
	}
	return len(p), nil
}

// CloseWrite tells the peer that no more messages come. Its own can still be read, up to io.EOF.
func (c *Conn) CloseWrite() error {
	if err := c.Handshake(); err != nil {
		return err
	}
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	err := c.flush(c.session.out.seal(nil, closing, nil))
	if err == nil {
		c.writeErr = net.ErrClosed
	}
	return err
}

// Close tells the peer too, unless that would take long, and closes the connection.
func (c *Conn) Close() error {
	if c.handshakeMu.TryLock() {
		isOpen := c.session != nil
		c.handshakeMu.Unlock()
		if isOpen {
			c.Conn.SetWriteDeadline(time.Now().Add(time.Second))
			c.CloseWrite()
		}
	}
	return c.Conn.Close()
}
