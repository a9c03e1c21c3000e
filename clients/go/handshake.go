package countersign

// The handshake of both ends, as the page src/manual/protocol.md describes it.

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"io"
)

const (
	magic = "\x9ecsgn/1\n"

	hello   = 0x01
	answer  = 0x02
	confirm = 0x03
	accept  = 0x04
	refusal = 0x05

	hasRecords      = 1 // flag: records are offered, or chosen
	mustHaveRecords = 2 // flag: the client requires them

	extSealing = 1
	suite1     = 1 // ChaCha20-Poly1305
)

// secrets are what both ends derive from the key and from all that was said.
type secrets struct{ s2c, c2s, exporter, macS, macC []byte }

func derive(prk, nonce, call, unsigned []byte) secrets {
	parts := [][]byte{[]byte("countersign/1 th"), nonce, call, unsigned}
	th := sha256.Sum256(bytes.Join(parts, nil))
	var keys [5][]byte // HKDF-Expand, whose blocks are just as long as the keys
	var last []byte
	for i := range keys {
		last = mac(prk, last, []byte("countersign/1 keys"), th[:], []byte{byte(i + 1)})
		keys[i] = last
	}
	macS := mac(keys[0], []byte("countersign/1 server"), th[:])
	macC := mac(keys[1], []byte("countersign/1 client"), th[:], macS)
	return secrets{keys[2], keys[3], keys[4], macS, macC}
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(bytes.Join(parts, nil))
	return h.Sum(nil)
}

// number is an integer in so many bytes.
func number(n uint64, size int) []byte { return binary.BigEndian.AppendUint64(nil, n)[8-size:] }

func header(kind byte, length int) []byte {
	return append([]byte{kind}, number(uint64(length), 3)...)
}

func frame(kind byte, body ...[]byte) []byte {
	joined := bytes.Join(body, nil)
	return append(header(kind, len(joined)), joined...)
}

func sized(text string) []byte { return append([]byte{byte(len(text))}, text...) }

// sealing is the extensions of both hellos: none, or the one that seals with suite 1.
func (config *Config) sealing() []byte {
	if config.NewAEAD == nil {
		return []byte{0, 0}
	}
	return []byte{0, 5, 0, extSealing, 0, 1, suite1}
}

// A parser takes bytes apart. A field that reaches past the end makes all of them malformed.
type parser struct {
	rest        []byte
	isMalformed bool
}

func (p *parser) take(size int) []byte {
	if size > len(p.rest) {
		p.rest, p.isMalformed = nil, true
		return make([]byte, size)
	}
	taken := p.rest[:size]
	p.rest = p.rest[size:]
	return taken
}

func (p *parser) number(size int) int {
	return int(binary.BigEndian.Uint64(append(make([]byte, 8-size), p.take(size)...)))
}

// extensions come last, and use up the rest.
func (p *parser) extensions() map[int][]byte {
	found := map[int][]byte{}
	p.isMalformed = p.number(2) != len(p.rest) || p.isMalformed
	for len(p.rest) > 0 {
		id := p.number(2)
		_, isRepeated := found[id]
		p.isMalformed = p.isMalformed || isRepeated
		found[id] = p.take(p.number(2))
	}
	return found
}

// peek waits for so many bytes, and leaves them where they are.
func peek(r *bufio.Reader, size int) ([]byte, error) {
	found, err := r.Peek(size)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return found, err
}

func take(r *bufio.Reader, size int) ([]byte, error) {
	found, err := peek(r, size)
	if err != nil {
		return nil, err
	}
	taken := append([]byte(nil), found...)
	_, err = r.Discard(size)
	return taken, err
}

// takeFrame returns a frame with its header, which is judged before the body is awaited.
func takeFrame(r *bufio.Reader, kind byte, least, most int) ([]byte, error) {
	head, err := peek(r, 4)
	if err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint32(head) & maxRecord)
	isRefusal := head[0] == refusal && length == 1 && (kind == answer || kind == accept)
	if !isRefusal && (head[0] != kind || length < least || length > most) {
		return nil, ErrProtocol
	}
	whole, err := take(r, 4+length)
	if err == nil && isRefusal {
		err = Refusal(whole[4])
	}
	return whole, err
}

// A session is what a handshake leads to.
type session struct {
	key      *Key
	exporter []byte
	in, out  *direction
}

// establish seals both directions, if that was agreed on.
func (config *Config) establish(s *session) (*session, error) {
	for _, d := range []*direction{s.in, s.out} {
		if config.NewAEAD != nil {
			aead, err := config.NewAEAD(mac(d.key, []byte("countersign/1 chacha20-poly1305")))
			if err != nil {
				return nil, err
			}
			d.aead = aead
		}
	}
	return s, nil
}

// dial is the handshake of a client.
func (config *Config) dial(r *bufio.Reader, w io.Writer, key *Key, nonce []byte) (*session, error) {
	call := append([]byte(magic), frame(hello, []byte{1, 1, 0, hasRecords | mustHaveRecords},
		number(uint64(config.MaxRecord), 4), nonce, config.Keys.instance, sized(key.ID),
		sized(config.Audiences[0]), config.sealing())...)
	if _, err := w.Write(call); err != nil {
		return nil, err
	}
	nonce, err := take(r, 32)
	if err != nil {
		return nil, err
	}
	signed, err := takeFrame(r, answer, 58, 508)
	if err != nil {
		return nil, err
	}
	unsigned, proof := signed[:len(signed)-32], signed[len(signed)-32:]
	s := derive(key.prk, nonce, call, unsigned)
	p := parser{rest: unsigned[4:]}
	choice, limit, instance := p.take(4), p.number(4), p.take(16)
	switch {
	case !hmac.Equal(proof, s.macS):
		return nil, ErrUnproved
	case bytes.Equal(instance, config.Keys.instance):
		return nil, ErrOwnRing
	case !bytes.Equal(choice, []byte{1, 0, 0, hasRecords}), limit < minRecord,
		!bytes.Equal(p.rest, config.sealing()):
		return nil, ErrProtocol
	}
	if _, err := w.Write(frame(confirm, s.macC)); err != nil {
		return nil, err
	}
	accepted, err := takeFrame(r, accept, 17, 17)
	if err != nil {
		return nil, err
	}
	in, out := newDirection(s.s2c, config.MaxRecord), newDirection(s.c2s, limit)
	if !hmac.Equal(accepted, in.seal(nil, accept, []byte{0})) {
		return nil, ErrProtocol
	}
	return config.establish(&session{key, s.exporter, in, out})
}
