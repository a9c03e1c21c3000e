package countersign

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/countersign/countersign/clients/go/internal/aead"
)

// vectors is tests/vectors/countersign-1.json; tests/vectors/generate.py explains its fields.
type vectors struct {
	Defaults                json.RawMessage
	Server, Client, Records []json.RawMessage
}

// A vector is what arrives at one end, and what it must send, hand on and end with.
type vector struct {
	Name, Role, Needs, Records, Outcome, Then, Closes string
	Key, Kid, Aud, Decoy, Sg, Out, Exporter           hexBytes
	NonceC                                            hexBytes `json:"nonce_c"`
	InstanceC                                         hexBytes `json:"instance_c"`
	InstanceS                                         hexBytes `json:"instance_s"`
	ClientExt                                         hexBytes `json:"client_ext"`
	ClientFlags                                       int      `json:"client_flags"`
	ClientMaxRecord                                   int      `json:"client_max_record"`
	ServerMaxRecord                                   int      `json:"server_max_record"`
	ServerFlags                                       int      `json:"server_flags"`
	Ring                                              map[string]hexBytes
	Audiences, In, Messages, Say                      []hexBytes
	Busy                                              bool
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func readVectors(t testing.TB) []vector {
	text, err := os.ReadFile("../../tests/vectors/countersign-1.json")
	if os.IsNotExist(err) {
		t.Skip("SKIP: there are no vectors beside this module")
	}
	var file vectors
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	read := func(role string, cases []json.RawMessage) {
		for _, each := range cases {
			v := vector{Role: role}
			for _, fields := range []json.RawMessage{file.Defaults, each} {
				ring := v.Ring
				v.Ring = nil // It would be added to.
				if err := json.Unmarshal(fields, &v); err != nil {
					t.Fatal(err)
				}
				if v.Ring == nil {
					v.Ring = ring
				}
			}
			all = append(all, v)
		}
	}
	read("server", file.Server)
	read("client", file.Client)
	read("", file.Records)
	return all
}

// beyond says what this package does not offer that the vector is about.
func (v *vector) beyond() string {
	ext := string(v.ClientExt)
	switch {
	case v.Role == "server" && (v.Records == "allowed" || v.Records == "off"):
		return "a server without records"
	case v.Busy:
		return "a busy server"
	case v.Role == "client" && v.ClientFlags != 3:
		return "a client that does not require records"
	case v.Role == "client" && ext != "" && ext != "\x00\x01\x00\x01\x01":
		return "a client with other extensions"
	}
	return ""
}

func (v *vector) config(t testing.TB) *Config {
	var keys []Key
	if v.Role == "client" {
		v.Ring = map[string]hexBytes{hex.EncodeToString(v.Kid): v.Key}
	}
	for kid, secret := range v.Ring {
		id, _ := hex.DecodeString(kid)
		keys = append(keys, Key{ID: string(id), Secret: secret})
	}
	config, err := NewConfig(keys...)
	if err != nil {
		t.Fatal(v.Name, err)
	}
	config.decoy.prk = v.Decoy
	if v.Role == "client" {
		v.Audiences = []hexBytes{v.Aud}
		config.random, config.instance = bytes.NewReader(v.NonceC), v.InstanceC
		config.MaxRecord = v.ClientMaxRecord
	} else {
		config.random, config.instance = bytes.NewReader(v.Sg), v.InstanceS
		config.MaxRecord = v.ServerMaxRecord
	}
	config.Audiences = nil
	for _, name := range v.Audiences {
		config.Audiences = append(config.Audiences, string(name))
	}
	if v.Role == "server" && v.Records == "sealed" || v.Role == "client" && len(v.ClientExt) > 0 {
		config.NewAEAD = aead.New
	}
	return config
}

var errPause = errors.New("the peer waits")

// A script is a connection on which it is known what arrives.
type script struct {
	net.Conn
	pieces [][]byte
	then   error
	out    []byte
}

func (s *script) Read(p []byte) (int, error) {
	for len(s.pieces) > 0 && len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	if len(s.pieces) == 0 {
		return 0, s.then
	}
	count := copy(p, s.pieces[0])
	s.pieces[0] = s.pieces[0][count:]
	return count, nil
}

func (s *script) Write(p []byte) (int, error) {
	s.out = append(s.out, p...)
	return len(p), nil
}

func (*script) Close() error                     { return nil }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// play returns what comes of a vector whose input arrives in these pieces.
func (v *vector) play(config *Config, pieces ...[]byte) (outcome string, out []byte, got [][]byte) {
	then := map[string]error{"": errPause, "eof": io.EOF, "reset": syscall.ECONNRESET,
		"timeout": os.ErrDeadlineExceeded}[v.Then]
	raw := &script{pieces: pieces, then: then}
	authenticate := Server
	if v.Role == "client" {
		authenticate = Client
	}
	conn, err := authenticate(raw, config)
	if err == nil {
		err = v.converse(conn, &got)
	}
	return v.outcome(err, conn != nil), raw.out, got
}

func (v *vector) converse(conn *Conn, got *[][]byte) error {
	var say [][]byte
	for _, message := range v.Say {
		say = append(say, message)
	}
	if err := conn.WriteMessages(say...); err != nil {
		return err
	}
	if v.Closes == "first" {
		if err := conn.CloseWrite(); err != nil {
			return err
		}
	}
	for {
		message, err := conn.ReadMessage()
		if err == io.EOF && v.Closes == "answer" {
			return conn.CloseWrite()
		}
		if err == io.EOF && v.Closes == "never" {
			// Here a program closes. Whatever is behind the close is read by nobody.
			if _, err = conn.reader.Peek(1); err == nil {
				err = ErrProtocol
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		*got = append(*got, message)
	}
}

func (v *vector) outcome(err error, isOpen bool) string {
	var code Refusal
	switch {
	case err == nil:
		return "closed"
	case err == errPause && isOpen:
		return "open"
	case errors.As(err, &code):
		reasons := []string{"unknown", "version", "refused", "busy", "malformed", "timeout"}
		if int(code) >= len(reasons) {
			code = 0
		}
		return "refused: " + reasons[code]
	}
	outcomes := map[error]string{ErrForeign: "silent", ErrOwnKeys: "silent", ErrUnproved: "unproved",
		ErrProtocol: "violation", io.ErrUnexpectedEOF: "truncated", syscall.ECONNRESET: "reset",
		os.ErrDeadlineExceeded: "timeout"}
	return outcomes[err]
}

func (v *vector) check(t *testing.T, cut string, pieces ...[]byte) {
	outcome, out, got := v.play(v.config(t), pieces...)
	if outcome != v.Outcome || !bytes.Equal(out, v.Out) || !v.isHandedOn(got, len(v.Messages)) {
		t.Fatalf("%s: %s, cut %s:\n%s %x %x\ninstead of\n%s %x %x", v.Role, v.Name, cut,
			outcome, out, got, v.Outcome, v.Out, v.Messages)
	}
}

// isHandedOn says whether these are the first messages, and how many.
func (v *vector) isHandedOn(got [][]byte, count int) bool {
	for i, message := range got {
		if i >= len(v.Messages) || !bytes.Equal(message, v.Messages[i]) {
			return false
		}
	}
	return len(got) == count
}

func TestVectorsAtEveryCut(t *testing.T) {
	plays, played, beyond := 0, 0, map[string]int{}
	for _, v := range readVectors(t) {
		if why := v.beyond(); why != "" {
			beyond[why]++
			continue
		}
		played++
		var pieces, single [][]byte
		for _, piece := range v.In {
			pieces = append(pieces, piece)
		}
		whole := bytes.Join(pieces, nil)
		for at := range whole {
			single = append(single, whole[at:at+1:at+1])
		}
		v.check(t, "as it is", pieces...)
		v.check(t, "at each byte", single...)
		for at := range whole {
			v.check(t, fmt.Sprintf("at %d", at), whole[:at], whole[at:])
		}
		plays += len(whole) + 2
	}
	t.Logf("%d vectors, played %d times; left out: %v", played, plays, beyond)
	if played < 560 {
		t.Errorf("only %d vectors were played", played)
	}
}

func TestVectorsThatEndAtEveryCut(t *testing.T) {
	ends := 0
	for _, v := range readVectors(t) {
		if v.beyond() != "" || v.Outcome != "open" && v.Outcome != "closed" {
			continue
		}
		var whole []byte
		for _, piece := range v.In {
			whole = append(whole, piece...)
		}
		for at := range whole {
			for then, expected := range map[string]string{"eof": "truncated", "reset": "reset"} {
				if then == "reset" && at%16 != 0 {
					continue // It takes the same path.
				}
				v.Then = then
				outcome, _, got := v.play(v.config(t), append([]byte(nil), whole[:at]...))
				if outcome != expected || !v.isHandedOn(got, len(got)) {
					t.Fatalf("%s: %s, %s at %d: %q %x", v.Role, v.Name, then, at, outcome, got)
				}
				ends++
			}
		}
	}
	if ends < 10000 {
		t.Errorf("only %d streams have ended", ends)
	}
}
