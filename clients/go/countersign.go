// Package countersign speaks countersign/1: both ends of a connection prove that they hold the same
// key. From then on nobody on the path can change, replay, drop or truncate a message unnoticed.
//
// It is this file alone, and needs the standard library alone. A Conn wraps a net.Conn. The page
// src/manual/protocol.md of the project describes what is sent.
package countersign

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	magic                                   = "\x9ecsgn/1\n"
	hello, answer, confirm, accept, refusal = 1, 2, 3, 4, 5                // frames
	data, ping, pong, closing, batch        = 0x10, 0x11, 0x12, 0x13, 0x14 // records
	hasRecords, mustHaveRecords             = 1, 2                         // flags of a hello
	minRecord, maxRecord                    = 1 << 10, 1<<24 - 1           // lengths in a header
	tagSize, maxPing, maxBatch              = 16, 125, 16 << 10
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
	words := [256]string{"", "version", "refused", "busy or stopping", "malformed", "timed out"}
	return fmt.Sprintf("countersign: the server refused the client: %d %s", byte(r), words[r])
}

// What else can be wrong. A stream that ends without a close is io.ErrUnexpectedEOF.
var (
	ErrUnproved = errors.New("countersign: the server did not prove that it holds the key")
	ErrProtocol = errors.New("countersign: the peer or somebody on the path broke the protocol")
	ErrForeign  = errors.New("countersign: the client speaks another protocol")
	ErrOwnKeys  = errors.New("countersign: the peer is this program itself")
	ErrTooLong  = errors.New("countersign: the message is longer than the peer accepts")
)

// A Config is the keys of a program, and how its connections use them. All of them share it.
type Config struct {
	Keys             []Key         // as NewConfig has prepared them; a client uses the first
	Audiences        []string      // A server serves these, a client means the first; by default "".
	MaxRecord        int           // the longest record that is accepted; by default 64 KiB and a tag
	HandshakeTimeout time.Duration // by default 10 s
	// NewAEAD seals records, and insists on it: chacha20poly1305.New of golang.org/x/crypto.
	NewAEAD func(key []byte) (cipher.AEAD, error)

	random   io.Reader
	instance []byte // It is sent, so that a peer knows itself.
	decoy    Key    // in place of a key that there is not: nobody holds it
}

// A Key is a secret that a client and a server hold.
type Key struct {
	ID                  string    // 1 to 64 bytes
	Secret              []byte    // at least 16 bytes
	Audience            string    // the only one that the key is for; any if empty
	NotBefore, NotAfter time.Time // when it is valid; always if zero

	prk       []byte
	isForeign bool // whether it is for other dialects alone
}

// NewConfig returns a configuration with these keys.
func NewConfig(keys ...Key) (*Config, error) {
	drawn, ids, secrets := make([]byte, 48), map[string]bool{"": true}, map[string]bool{}
	if _, err := rand.Read(drawn); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("countersign: there is no key for countersign/1")
	}
	for i, key := range keys {
		prk := mac([]byte("countersign/1 psk"), key.Secret)
		isEmpty := len(bytes.Trim(key.Secret, "\x00")) == 0
		if ids[key.ID] || secrets[string(prk)] || isEmpty || len(key.ID) > 64 || len(key.Secret) < 16 {
			return nil, fmt.Errorf("countersign: key %q: ids have 1 to 64 bytes and secrets 16 or more, "+
				"not zeros alone, and no two are the same", key.ID)
		}
		if !key.NotAfter.IsZero() && !key.NotAfter.After(key.NotBefore) {
			return nil, fmt.Errorf("countersign: key %q expires before it becomes valid", key.ID)
		}
		ids[key.ID], secrets[string(prk)], keys[i].prk = true, true, prk
	}
	return &Config{Keys: keys, Audiences: []string{""}, MaxRecord: 64<<10 + tagSize,
		HandshakeTimeout: 10 * time.Second, random: rand.Reader,
		instance: drawn[:16], decoy: Key{prk: drawn[16:]}}, nil
}

func (config *Config) extensions() []byte {
	if config.NewAEAD == nil {
		return []byte{0, 0}
	}
	return []byte{0, 5, 0, 1, 0, 1, 1} // sealing, with suite 1
}

// find returns the key that a client names, or the decoy.
func (config *Config) find(id, audience string) *Key {
	for _, served := range config.Audiences {
		for i, key := range config.Keys {
			if audience == served && id == key.ID && key.isValid(audience, time.Now()) {
				return &config.Keys[i]
			}
		}
	}
	return &config.decoy
}

func (key *Key) isValid(audience string, now time.Time) bool {
	return (key.Audience == "" || key.Audience == audience) &&
		now.After(key.NotBefore) && (key.NotAfter.IsZero() || now.Before(key.NotAfter))
}

// ReadKeyFile reads the keys for countersign/1 from a file that belongs to this user or to root,
// and that nobody else can read, but for the group that root lets read it and this process is in.
func ReadKeyFile(path string) (*Config, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil {
		err = checkAccess(path, info)
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	return ParseKeys(string(text))
}

// checkAccess refuses a file that others own or can read.
func checkAccess(path string, info os.FileInfo) error {
	// The type has another name on each system, but these two fields on all that have such owners.
	status := reflect.Indirect(reflect.ValueOf(info.Sys()))
	if status.Kind() != reflect.Struct || !status.FieldByName("Uid").IsValid() {
		return nil
	}
	owner, group, user := int(status.FieldByName("Uid").Uint()), int(status.FieldByName("Gid").Uint()), os.Geteuid()
	if owner != 0 && owner != user {
		return fmt.Errorf("countersign: %s belongs to user %d; run: chown %d %s", path, owner, user, path)
	}
	groups, err := os.Getgroups()
	if err != nil {
		return fmt.Errorf("countersign: the groups of this process: %w", err)
	}
	closed := os.FileMode(0o077)
	for _, own := range append(groups, os.Getegid()) {
		if owner == 0 && group == own {
			closed = 0o037
		}
	}
	if info.Mode().Perm()&closed != 0 {
		return fmt.Errorf("countersign: others can read %s; run: chmod 600 %s", path, path)
	}
	return nil
}

// ParseKeys reads lines as "id hex:secret audience=name not-after=2027-01-31". The page
// src/manual/operations.md describes them. Keys for other dialects alone are left out.
func ParseKeys(text string) (*Config, error) {
	var keys []Key
	if !utf8.ValidString(text) {
		return nil, errors.New("countersign: the keys are not UTF-8 text; write such a secret as hex:")
	}
	for i, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		key, ok := parseKey(fields)
		if !ok {
			return nil, fmt.Errorf("countersign: line %d: a key is an id, a secret (hex:, base64:, text:, "+
				"passphrase:) and options (dialects=, audience=, not-before=, not-after=), each once", i+1)
		}
		if !key.isForeign {
			keys = append(keys, key)
		}
	}
	return NewConfig(keys...)
}

func parseKey(fields []string) (key Key, ok bool) {
	key.ID = fields[0]
	seen := map[string]bool{}
	for at, field := range fields[1:] {
		name := field[:strings.IndexAny(field, ":=")+1]
		isSecret := strings.HasSuffix(name, ":")
		if isSecret != (at == 0) || seen[name] || !key.set(name, field[len(name):]) {
			return key, false
		}
		seen[name] = true
	}
	return key, isWord(key.ID)
}

func (key *Key) set(name, value string) bool {
	var err error
	switch name {
	case "hex:":
		key.Secret, err = hex.DecodeString(value)
	case "base64:":
		key.Secret, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
	case "text:":
		key.Secret = []byte(value)
	case "passphrase:":
		key.Secret = stretch(value, "countersign/1 pass"+key.ID)
		return value != ""
	case "dialects=":
		key.isForeign = true
		for _, dialect := range strings.Split(value, ",") {
			switch dialect {
			case "countersign/1":
				key.isForeign = false
			case "raw", "hex", "multiprocessing":
			default:
				return false
			}
		}
	case "audience=":
		key.Audience = value
		return isWord(value) && len(value) <= 64
	case "not-before=":
		key.NotBefore, err = parseDate(value, 0)
	case "not-after=":
		key.NotAfter, err = parseDate(value, 24*time.Hour)
	default:
		return false
	}
	return err == nil
}

// isWord tells whether a name has nothing that nobody can see.
func isWord(name string) bool {
	isHidden := func(r rune) bool { return unicode.IsControl(r) || r == '\ufeff' }
	return name != "" && strings.IndexFunc(name, isHidden) < 0
}

// parseDate reads a day, of which so much is included, or an instant. The earliest is 1970: the
// zero time would be no date at all.
func parseDate(text string, included time.Duration) (time.Time, error) {
	date, err := time.Parse("2006-01-02", text)
	if err == nil {
		date = date.Add(included)
	} else {
		date, err = time.Parse(time.RFC3339, text)
	}
	if epoch := time.Unix(0, 0); err == nil && date.Before(epoch) {
		date = epoch
	}
	return date, err
}

// stretch is PBKDF2-HMAC-SHA256, whose first block is as long as a key.
func stretch(passphrase, salt string) []byte {
	block := mac([]byte(passphrase), []byte(salt), []byte{0, 0, 0, 1})
	key := join(block)
	for round := 1; round < 600_000; round++ {
		block = mac([]byte(passphrase), block)
		for i := range key {
			key[i] ^= block[i]
		}
	}
	return key
}

// A Conn is a net.Conn whose peer is authenticated. One goroutine may read while another writes.
type Conn struct {
	net.Conn
	config   *Config
	key      *Key
	nonce    []byte
	exporter []byte

	reader   *bufio.Reader // It keeps a record until all of it has arrived.
	in       direction
	messages [][]byte // those of the last record that are not read yet
	err      error    // what has ended the handshake, or reading

	writeMu  sync.Mutex
	out      direction
	held     []byte // what precedes the first byte that is written
	writeErr error
}

// Client returns the client's end of a connection when both ends are authenticated.
func Client(conn net.Conn, config *Config) (*Conn, error) {
	return authenticate(conn, config, (*Conn).dial)
}

// Server returns the server's end of a connection when both ends are authenticated.
func Server(conn net.Conn, config *Config) (*Conn, error) {
	return authenticate(conn, config, (*Conn).serve)
}

func authenticate(conn net.Conn, config *Config, handshake func(*Conn)) (*Conn, error) {
	if len(config.Audiences) == 0 {
		conn.Close()
		return nil, errors.New(`countersign: Audiences names none; the default is ""`)
	}
	c := &Conn{Conn: conn, config: config, reader: bufio.NewReaderSize(conn, 512)}
	c.nonce = make([]byte, 32)
	_, c.err = io.ReadFull(config.random, c.nonce)
	c.SetDeadline(time.Now().Add(config.HandshakeTimeout))
	if handshake(c); c.err != nil {
		conn.Close()
		return nil, c.err
	}
	c.reader = bufio.NewReaderSize(c.reader, 4+config.MaxRecord) // A stranger gets 512 bytes.
	return c, c.SetDeadline(time.Time{})
}

func (c *Conn) dial() {
	key, config := &c.config.Keys[0], c.config
	call := join([]byte(magic), frame(hello, []byte{1, 1, 0, hasRecords | mustHaveRecords},
		number(config.MaxRecord, 4), c.nonce, config.instance, sized(key.ID),
		sized(config.Audiences[0]), config.extensions()))
	c.write(call)
	nonce, signed := c.take(32), c.takeFrame(58, 508, answer)
	unsigned, proof := signed[:len(signed)-32], signed[len(signed)-32:]
	p, s := parser{rest: unsigned[4:]}, derive(key.prk, nonce, call, unsigned)
	choice, limit, instance := p.take(4), p.number(4), p.take(16)
	c.check(hmac.Equal(proof, s.macS), ErrUnproved)
	c.check(!bytes.Equal(instance, config.instance), ErrOwnKeys)
	c.check(bytes.Equal(choice, []byte{1, 0, 0, hasRecords}), ErrProtocol)
	c.check(limit >= minRecord && bytes.Equal(p.rest, config.extensions()), ErrProtocol)
	c.write(frame(confirm, s.macC))
	c.check(hmac.Equal(c.takeFrame(17, 17, accept), s.accept), ErrProtocol)
	c.in, c.out = c.direction(s.s2c, 1, config.MaxRecord), c.direction(s.c2s, 0, limit)
	c.key, c.exporter = key, s.exporter
}

func (c *Conn) serve() {
	c.check(string(c.take(len(magic))) == magic, ErrForeign)
	if c.err != nil {
		return
	}
	config := c.config
	c.held = c.nonce
	call := c.takeFrame(0, 500, hello)
	keyID, audience, limit := c.judge(call[4:])
	key := config.find(keyID, audience)
	signed := frame(answer, []byte{1, 0, 0, hasRecords}, number(config.MaxRecord, 4),
		config.instance, config.extensions(), make([]byte, 32))
	unsigned := signed[:len(signed)-32]
	s := derive(key.prk, c.nonce, join([]byte(magic), call), unsigned)
	c.write(join(unsigned, s.macS))
	proof := c.takeFrame(32, 32, confirm)
	c.check(hmac.Equal(proof[4:], s.macC) && key != &config.decoy, Refused)
	c.in, c.out = c.direction(s.c2s, 0, config.MaxRecord), c.direction(s.s2c, 1, limit)
	c.write(s.accept)
	c.key, c.exporter = key, s.exporter
	c.refuse()
}

// judge returns what a client's hello offers. Nothing here depends on the keys.
func (c *Conn) judge(body []byte) (keyID, audience string, limit int) {
	p := parser{rest: body}
	least, most := p.number(1), p.number(1)
	c.check(!p.isShort && least <= most, ErrProtocol)
	c.check(least <= 1 && most >= 1, WrongVersion)
	flags, limit, instance := p.number(2), p.number(4), p.take(32+16)
	keyID, audience = string(p.take(p.number(1))), string(p.take(p.number(1)))
	extensions, areWhole := p.extensions()
	suites, isSealing := extensions[1]
	records := flags&hasRecords != 0
	c.check(areWhole && limit >= minRecord, ErrProtocol)
	c.check(records || flags&mustHaveRecords == 0, ErrProtocol)
	c.check(len(keyID) >= 1 && len(keyID) <= 64 && len(audience) <= 64, ErrProtocol)
	c.check(!isSealing || records && len(suites) > 0, ErrProtocol)
	for _, suite := range suites {
		c.check(bytes.Count(suites, []byte{suite}) == 1, ErrProtocol)
	}
	c.check(!bytes.HasSuffix(instance, c.config.instance), ErrOwnKeys)
	c.check(records && (c.config.NewAEAD == nil || bytes.IndexByte(suites, 1) >= 0), Refused)
	return keyID, audience, limit
}

func (c *Conn) direction(key []byte, number uint64, limit int) direction {
	d := direction{tagger{key}, number, limit}
	if limit > maxRecord {
		d.limit = maxRecord
	}
	if c.config.NewAEAD != nil {
		aead, err := c.config.NewAEAD(mac(key, []byte("countersign/1 chacha20-poly1305")))
		c.check(err == nil, err)
		d.AEAD = aead
	}
	return d
}

// refuse tells a client what is wrong, unless it has gone or is this program.
func (c *Conn) refuse() {
	if c.err == ErrProtocol {
		c.err = Malformed
	} else if errors.Is(c.err, os.ErrDeadlineExceeded) {
		c.err = TimedOut
	}
	code, isCode := c.err.(Refusal)
	if !isCode {
		return
	}
	c.SetDeadline(time.Now().Add(time.Second))
	c.Conn.Write(append(c.held, frame(refusal, []byte{byte(code)})...))
	// If the connection were closed at once, what the client still sends could destroy the refusal.
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		io.CopyN(io.Discard, c.Conn, 64<<10)
	}
}

// The next four do nothing after the first error, which check keeps.

func (c *Conn) check(isRight bool, otherwise error) {
	if c.err == nil && !isRight {
		c.err = otherwise
	}
}

func (c *Conn) write(p []byte) {
	if c.err == nil {
		_, c.err = c.Conn.Write(append(c.held, p...))
		c.held = nil
	}
}

// peek waits for so many bytes, and leaves them where they are. take takes them.
func (c *Conn) peek(size int) []byte {
	if c.err == nil {
		found, err := c.reader.Peek(size)
		if err == nil {
			return found
		}
		if c.err = err; err == io.EOF {
			c.err = io.ErrUnexpectedEOF
		}
	}
	return make([]byte, size)
}

func (c *Conn) take(size int) []byte {
	taken := append([]byte(nil), c.peek(size)...)
	if c.err == nil {
		c.reader.Discard(size)
	}
	return taken
}

// takeFrame returns a frame or a record of one of these types with its header, which is judged
// before the body is awaited.
func (c *Conn) takeFrame(least, most int, types ...byte) []byte {
	head := c.peek(4)
	length := int(binary.BigEndian.Uint32(head) & maxRecord)
	if length == 1 && head[0] == refusal && (types[0] == answer || types[0] == accept) {
		c.check(false, Refusal(c.take(5)[4]))
	}
	c.check(bytes.IndexByte(types, head[0]) >= 0 && length >= least && length <= most, ErrProtocol)
	if c.err != nil {
		length = least
	}
	return c.take(4 + length)
}

// secrets are what both ends derive from the key and from all that was said.
type secrets struct{ s2c, c2s, exporter, macS, macC, accept []byte }

func derive(prk, nonce, call, unsigned []byte) secrets {
	th := sha256.Sum256(join([]byte("countersign/1 th"), nonce, call, unsigned))
	var keys [6][]byte // HKDF-Expand, whose blocks are as long as the keys, from the second on
	for i := 1; i < len(keys); i++ {
		keys[i] = mac(prk, keys[i-1], []byte("countersign/1 keys"), th[:], number(i, 1))
	}
	macS := mac(keys[1], []byte("countersign/1 server"), th[:])
	macC := mac(keys[2], []byte("countersign/1 client"), th[:], macS)
	accepting := direction{AEAD: tagger{keys[3]}}
	return secrets{keys[3], keys[4], keys[5], macS, macC, accepting.seal(accept, []byte{0})}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(join(parts...))
	return h.Sum(nil)
}

// number is an integer in so many bytes.
func number(n, size int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n))[8-size:] }

func sized(text string) []byte { return append(number(len(text), 1), text...) }

func frame(kind byte, body ...[]byte) []byte {
	joined := join(body...)
	return join([]byte{kind}, number(len(joined), 3), joined)
}

// A parser takes bytes apart.
type parser struct {
	rest    []byte
	isShort bool // whether a field has reached past the end
}

func (p *parser) take(size int) (taken []byte) {
	if size > len(p.rest) {
		p.rest, p.isShort = nil, true
		return nil
	}
	taken, p.rest = p.rest[:size], p.rest[size:]
	return taken
}

func (p *parser) number(size int) (n int) {
	for _, digit := range p.take(size) {
		n = n<<8 | int(digit)
	}
	return n
}

// extensions takes the rest, and says whether it is whole.
func (p *parser) extensions() (found map[int][]byte, areWhole bool) {
	found, areWhole = map[int][]byte{}, p.number(2) == len(p.rest)
	for len(p.rest) > 0 {
		id := p.number(2)
		_, isRepeated := found[id]
		areWhole = areWhole && !isRepeated
		found[id] = p.take(p.number(2))
	}
	return found, areWhole && !p.isShort
}

// A direction is the records that one end sends and the other receives.
type direction struct {
	cipher.AEAD
	number uint64 // of the next record, whatever its type
	limit  int    // the longest length in a header
}

func (d *direction) nonce() []byte {
	d.number++
	return binary.BigEndian.AppendUint64(make([]byte, 4), d.number-1)
}

func (d *direction) seal(kind byte, payload []byte) []byte {
	head := join([]byte{kind}, number(len(payload)+tagSize, 3))
	return d.Seal(head, d.nonce(), payload, head)
}

// A tagger is a cipher.AEAD that authenticates records and does not encrypt them.
type tagger struct{ key []byte }

func (tagger) NonceSize() int { return 12 }
func (tagger) Overhead() int  { return tagSize }

func (t tagger) Seal(to, nonce, payload, head []byte) []byte {
	return join(to, payload, mac(t.key, nonce[4:], head, payload)[:tagSize])
}

func (t tagger) Open(to, nonce, sealed, head []byte) ([]byte, error) {
	payload := sealed[:len(sealed)-tagSize]
	if !hmac.Equal(sealed, t.Seal(nil, nonce, payload, head)) {
		return nil, ErrProtocol
	}
	return join(to, payload), nil
}

// ReadMessage returns the next message. It is io.EOF when the peer has said that it sends no more.
func (c *Conn) ReadMessage() ([]byte, error) {
	if errors.Is(c.err, os.ErrDeadlineExceeded) {
		c.err = nil // What had arrived is still there.
	}
	for len(c.messages) == 0 && c.err == nil {
		c.readRecord()
	}
	if c.err == ErrProtocol {
		c.Conn.Close()
	}
	if c.err != nil {
		return nil, c.err
	}
	message := c.messages[0]
	c.messages = c.messages[1:]
	return message, nil
}

// Read reads from one message. What does not fit is read next.
func (c *Conn) Read(p []byte) (n int, err error) {
	for n == 0 && len(p) > 0 && err == nil {
		var message []byte
		if message, err = c.ReadMessage(); len(message) > len(p) {
			c.messages = append([][]byte{message[len(p):]}, c.messages...)
		}
		n = copy(p, message)
	}
	return n, err
}

func (c *Conn) readRecord() {
	record := c.takeFrame(tagSize, c.in.limit, data, ping, pong, closing, batch)
	if c.err != nil {
		return
	}
	payload, err := c.in.Open(nil, c.in.nonce(), record[4:], record[:4])
	kind, p := record[0], parser{rest: payload}
	switch {
	case err != nil, kind == ping && len(payload) > maxPing,
		kind == closing && (len(payload) > 0 || c.reader.Buffered() > 0):
		c.err = ErrProtocol
	case kind == data:
		c.messages = [][]byte{payload}
	case kind == batch:
		for len(p.rest) > 0 {
			c.messages = append(c.messages, p.take(p.number(3)))
		}
		c.check(len(payload) > 0 && !p.isShort, ErrProtocol)
	case kind == ping:
		if err := c.send(pong, payload); err != net.ErrClosed {
			c.check(err == nil, err)
		}
	case kind == closing:
		c.err = io.EOF
	}
}

// WriteMessages sends messages. What goes out together is one batch, if it is short enough.
func (c *Conn) WriteMessages(messages ...[]byte) error {
	var together []byte
	for _, message := range messages {
		if len(message)+tagSize > c.out.limit {
			return ErrTooLong
		}
		together = append(append(together, number(len(message), 3)...), message...)
	}
	length := len(together) + tagSize
	if len(messages) > 1 && length <= c.out.limit && length <= maxBatch {
		return c.send(batch, together)
	}
	return c.send(data, messages...)
}

// Write sends one message, or several if the peer accepts none that is so long.
func (c *Conn) Write(p []byte) (int, error) {
	var messages [][]byte
	for rest, size := p, c.out.limit-tagSize; len(rest) > 0; rest = rest[size:] {
		if size > len(rest) {
			size = len(rest)
		}
		messages = append(messages, rest[:size])
	}
	if err := c.WriteMessages(messages...); err != nil {
		return 0, err
	}
	return len(p), nil
}

// CloseWrite tells the peer that no more messages come. Its own can still be read, up to io.EOF.
func (c *Conn) CloseWrite() error { return c.send(closing, nil) }

// Close tells the peer too, unless that would take long, and closes the connection.
func (c *Conn) Close() error {
	c.SetWriteDeadline(time.Now().Add(time.Second))
	c.CloseWrite()
	return c.Conn.Close()
}

// send writes records. If they are not written as a whole, no other can follow.
func (c *Conn) send(kind byte, payloads ...[]byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	var records []byte
	for _, payload := range payloads {
		records = append(records, c.out.seal(kind, payload)...)
	}
	if c.writeErr != nil {
		return c.writeErr
	}
	_, err := c.Conn.Write(records)
	if c.writeErr = err; err == nil && kind == closing {
		c.writeErr = net.ErrClosed
	}
	return err
}

// KeyID names the key that both ends hold.
func (c *Conn) KeyID() string { return c.key.ID }

// Secret returns 32 bytes that both ends derive from the same label.
func (c *Conn) Secret(label string) []byte { return mac(c.exporter, []byte(label)) }
