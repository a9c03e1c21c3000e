package countersign

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"io"
	"time"
)

// A Refusal is the code with which a server refuses a client. Anyone on the path can forge one.
type Refusal byte

// The codes of refusals.
const (
	WrongVersion Refusal = iota + 1
	Refused
	Busy
	Malformed
	TimedOut
)

func (r Refusal) Error() string {
	reasons := [...]string{"unknown code", "version", "refused", "busy", "malformed", "timed out"}
	if int(r) >= len(reasons) {
		r = 0
	}
	return "countersign: the server refused the client: " + reasons[r]
}

// What else can be wrong. A stream that ends without a close is io.ErrUnexpectedEOF.
var (
	ErrUnproved = errors.New("countersign: the server did not prove that it holds the key")
	ErrProtocol = errors.New("countersign: the peer or somebody on the path broke the protocol")
	ErrForeign  = errors.New("countersign: the client speaks another protocol")
	ErrOwnRing  = errors.New("countersign: the peer is this program itself")
	ErrTooLong  = errors.New("countersign: the message is longer than the peer accepts")
)

// A Config configures connections. It must not be changed while one is made from it.
type Config struct {
	Keys      *KeyRing
	KeyID     string   // the key of a client; by default the first of the ring
	Audiences []string // those that a server serves; a client means the first; by default ""
	// NewAEAD seals records, and insists on it: chacha20poly1305.New of golang.org/x/crypto.
	NewAEAD          func(key []byte) (cipher.AEAD, error)
	MaxRecord        int           // the longest record that is accepted; by default 64 KiB and a tag
	HandshakeTimeout time.Duration // for the handshake as a whole; by default 10 s
	Rand             io.Reader     // by default crypto/rand.Reader
}

func (config *Config) setDefaults() {
	if len(config.Audiences) == 0 {
		config.Audiences = []string{""}
	}
	if config.MaxRecord == 0 {
		config.MaxRecord = 64<<10 + tagSize
	}
	if config.HandshakeTimeout == 0 {
		config.HandshakeTimeout = 10 * time.Second
	}
	if config.Rand == nil {
		config.Rand = rand.Reader
	}
}
