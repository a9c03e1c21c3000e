package countersign

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"errors"
	"io"
	"os"
	"time"
)

// serve is the handshake of a server.
func (c *Conn) serve(ctx context.Context, nonce []byte) (*session, error) {
	opening, err := take(c.reader, len(magic))
	if err != nil {
		return nil, err
	}
	if string(opening) != magic {
		return nil, ErrForeign
	}
	call, offer, err := c.config.takeCall(c.reader)
	if err != nil {
		return nil, c.refuse(ctx, err, nonce)
	}
	session, err := c.config.answer(c.reader, c.Conn, nonce, call, offer)
	if err != nil {
		return nil, c.refuse(ctx, err, nil)
	}
	return session, nil
}

// An offer is what a client's hello says.
type offer struct {
	keyID, audience string
	limit           int
}

func (config *Config) takeCall(r *bufio.Reader) ([]byte, *offer, error) {
	call, err := takeFrame(r, hello, 0, 512-len(magic)-4)
	if err != nil {
		return nil, nil, err
	}
	offer, err := config.parseOffer(call[4:])
	return append([]byte(magic), call...), offer, err
}

// parseOffer judges an offer. Nothing here depends on the keys.
func (config *Config) parseOffer(body []byte) (*offer, error) {
	p := parser{rest: body}
	least, most := p.number(1), p.number(1)
	if p.isMalformed || least > most {
		return nil, Malformed
	}
	if least > 1 || most < 1 {
		return nil, WrongVersion
	}
	flags, limit, instance := p.number(2), p.number(4), p.take(32 + 16)[32:]
	keyID, audience := p.take(p.number(1)), p.take(p.number(1))
	suites, isSealing := p.extensions()[extSealing]
	records := flags&hasRecords != 0
	switch {
	case p.isMalformed, limit < minRecord, len(keyID) < 1, len(keyID) > 64, len(audience) > 64,
		flags&mustHaveRecords != 0 && !records,
		isSealing && (!records || len(suites) == 0 || hasRepeated(suites)):
		return nil, Malformed
	case bytes.Equal(instance, config.Keys.instance):
		return nil, ErrOwnRing
	case !records, config.NewAEAD != nil && bytes.IndexByte(suites, suite1) < 0:
		return nil, Refused
	}
	return &offer{string(keyID), string(audience), limit}, nil
}

func hasRepeated(suites []byte) bool {
	for i, suite := range suites {
		if bytes.IndexByte(suites[i+1:], suite) >= 0 {
			return true
		}
	}
	return false
}

// answer proves that the server holds the key, and verifies that the client does. A client that
// names no valid key gets the same answer as any other, made with a key that nobody holds.
func (config *Config) answer(
	r *bufio.Reader, w io.Writer, nonce, call []byte, o *offer,
) (*session, error) {
	key := config.Keys.find(o.keyID, o.audience, config.Audiences)
	signed := frame(answer, []byte{1, 0, 0, hasRecords}, number(uint64(config.MaxRecord), 4),
		config.Keys.instance, config.sealing(), make([]byte, 32))
	unsigned := signed[:len(signed)-32]
	s := derive(key.prk, nonce, call, unsigned)
	if _, err := w.Write(bytes.Join([][]byte{nonce, unsigned, s.macS}, nil)); err != nil {
		return nil, err
	}
	proof, err := takeFrame(r, confirm, 32, 32)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(proof[4:], s.macC) || key == config.Keys.decoy {
		return nil, Refused
	}
	in, out := newDirection(s.c2s, config.MaxRecord), newDirection(s.s2c, o.limit)
	if _, err := w.Write(out.seal(nil, accept, []byte{0})); err != nil {
		return nil, err
	}
	return config.establish(&session{key, s.exporter, in, out})
}

// refuse tells a client why, unless it has gone or is this program, and returns the reason.
func (c *Conn) refuse(ctx context.Context, why error, before []byte) error {
	var code Refusal
	switch {
	case errors.As(why, &code):
	case errors.Is(why, os.ErrDeadlineExceeded) && ctx.Err() == context.Canceled:
		code = Busy
	case errors.Is(why, os.ErrDeadlineExceeded):
		code = TimedOut
	case why == ErrProtocol:
		code = Malformed
	default:
		return why
	}
	c.Conn.SetDeadline(time.Now().Add(time.Second))
	c.Conn.Write(append(before, frame(refusal, []byte{byte(code)})...))
	// If the connection were closed at once, what the client still sends could destroy the refusal.
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		io.CopyN(io.Discard, c.Conn, 64<<10)
	}
	return code
}
