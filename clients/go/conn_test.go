package countersign

import (
	"bytes"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func ring(t testing.TB, keys ...Key) *KeyRing {
	t.Helper()
	ring, err := NewKeyRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func key(id, secret string) Key { return Key{ID: id, Secret: []byte(strings.Repeat(secret, 16))} }

// rawPair returns both ends of a connection on the loopback interface.
func rawPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func pair(t testing.TB, forClient, forServer Config) (client, server *Conn) {
	c, s := rawPair(t)
	return Client(c, &forClient), Server(s, &forServer)
}

// shake returns what both ends make of their handshake.
func shake(client, server *Conn) (ofClient, ofServer error) {
	done := make(chan error)
	go func() { done <- server.Handshake() }()
	return client.Handshake(), <-done
}

func TestMessagesGoBothWays(t *testing.T) {
	for _, newAEAD := range []func([]byte) (cipher.AEAD, error){nil, newChaCha20Poly1305} {
		config := func() Config { return Config{Keys: ring(t, key("k", "x")), NewAEAD: newAEAD} }
		client, server := pair(t, config(), config())
		sent := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte("x"), 64<<10)}
		go func() {
			client.WriteMessages(sent...)
			client.CloseWrite()
		}()
		for _, expected := range sent {
			got, err := server.ReadMessage()
			if err != nil || !bytes.Equal(got, expected) {
				t.Fatalf("%.20q, %v instead of %.20q", got, err, expected)
			}
		}
		if _, err := server.ReadMessage(); err != io.EOF {
			t.Fatal(err)
		}
		if err := server.WriteMessages([]byte("reply")); err != nil {
			t.Fatal(err)
		}
		server.Close()
		got, err := io.ReadAll(client)
		if string(got) != "reply" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		if client.KeyID() != "k" || !bytes.Equal(client.Secret("a"), server.Secret("a")) {
			t.Fatal("the ends do not agree")
		}
	}
}

func TestItIsAStreamToo(t *testing.T) {
	client, server := pair(t, Config{Keys: ring(t, key("k", "x"))},
		Config{Keys: ring(t, key("k", "x")), MaxRecord: 1024})
	sent := bytes.Repeat([]byte("0123456789"), 10_000)
	go func() {
		client.Write(sent)
		client.Close()
	}()
	got, err := io.ReadAll(server)
	if !bytes.Equal(got, sent) || err != nil {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if err := client.WriteMessages(nil); err != net.ErrClosed {
		t.Fatal(err)
	}
}

func TestAMessageThatIsTooLongIsNotSent(t *testing.T) {
	client, server := pair(t, Config{Keys: ring(t, key("k", "x"))},
		Config{Keys: ring(t, key("k", "x")), MaxRecord: 1024})
	go server.ReadMessage()
	longest := make([]byte, 1024-tagSize)
	if err := client.WriteMessages([]byte("x"), append(longest, 0)); err != ErrTooLong {
		t.Fatal(err)
	}
	if err := client.WriteMessages(longest); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyThoseWithTheKeyAreLetIn(t *testing.T) {
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	right := Config{Keys: ring(t, key("k", "x"))}
	expired, early, elsewhere := key("k", "x"), key("k", "x"), key("k", "x")
	expired.NotAfter, early.NotBefore, elsewhere.Audience = past, future, "time"
	sealing := Config{Keys: ring(t, key("k", "x")), NewAEAD: newChaCha20Poly1305}
	own := Config{Keys: ring(t, key("k", "x"))}
	for name, at := range map[string]struct {
		client, server     Config
		ofClient, ofServer error
	}{
		"right":      {right, Config{Keys: ring(t, key("k", "x"))}, nil, nil},
		"secret":     {right, Config{Keys: ring(t, key("k", "y"))}, ErrUnproved, io.ErrUnexpectedEOF},
		"id":         {right, Config{Keys: ring(t, key("l", "x"))}, ErrUnproved, io.ErrUnexpectedEOF},
		"expired":    {right, Config{Keys: ring(t, expired)}, ErrUnproved, io.ErrUnexpectedEOF},
		"early":      {right, Config{Keys: ring(t, early)}, ErrUnproved, io.ErrUnexpectedEOF},
		"elsewhere":  {right, Config{Keys: ring(t, elsewhere)}, ErrUnproved, io.ErrUnexpectedEOF},
		"own ring":   {own, own, io.ErrUnexpectedEOF, ErrOwnRing},
		"unsealed":   {right, sealing, Refused, Refused},
		"no such id": {Config{Keys: right.Keys, KeyID: "l"}, right, nil, io.ErrUnexpectedEOF},
	} {
		client, server := pair(t, at.client, at.server)
		ofClient, ofServer := shake(client, server)
		isSame := errors.Is(ofClient, at.ofClient) || name == "no such id" && ofClient != nil
		if !isSame || !errors.Is(ofServer, at.ofServer) {
			t.Errorf("%s: %v and %v", name, ofClient, ofServer)
		}
	}
}

func TestAHandshakeEndsWithItsContext(t *testing.T) {
	client, server := pair(t, Config{Keys: ring(t, key("k", "x"))},
		Config{Keys: ring(t, key("k", "x")), HandshakeTimeout: time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(time.Millisecond, cancel)
	if err := client.HandshakeContext(ctx); err != context.Canceled {
		t.Error(err)
	}
	if err := client.WriteMessages(nil); err != context.Canceled {
		t.Error("a failed handshake stays failed:", err)
	}
	raw, stalled := rawPair(t)
	server = Server(stalled, &server.config)
	io.WriteString(raw, magic)
	if err := server.Handshake(); err != TimedOut {
		t.Error(err)
	}
	told, err := io.ReadAll(raw)
	if !bytes.Equal(told[32:], frame(refusal, []byte{5})) || err != nil {
		t.Error(told, err)
	}
}

func TestADeadlineLosesNothing(t *testing.T) {
	config := func() *Config { return &Config{Keys: ring(t, key("k", "x"))} }
	c, s := rawPair(t)
	client, server := Client(c, config()), Server(s, config())
	if one, other := shake(client, server); one != nil || other != nil {
		t.Fatal(one, other)
	}
	record := client.session.out.seal(nil, data, []byte("late"))
	c.Write(record[:7])
	server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := server.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	c.Write(record[7:])
	server.SetReadDeadline(time.Time{})
	if got, err := server.ReadMessage(); string(got) != "late" || err != nil {
		t.Fatal(got, err)
	}
	c.Close()
	if _, err := server.ReadMessage(); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
}

func TestParseKeys(t *testing.T) {
	text := "\ufeff# keys\r\n\n" +
		"a hex:000102030405060708090a0b0c0d0e0f audience=time\r\n" +
		"b base64:AAECAwQFBgcICQoLDA0ODw== not-after=2027-01-31\n" +
		"c base64:AAECAwQFBgcICQoLDA0ODw not-before=2027-01-31T12:00:00+02:00\n" +
		"old text:short dialects=raw,hex\n" +
		"d passphrase:tulip-anvil dialects=raw,countersign/1"
	ring, err := ParseKeys(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, key := range ring.keys {
		ids = append(ids, key.ID)
	}
	if !reflect.DeepEqual(ids, []string{"a", "b", "c", "d"}) {
		t.Fatal(ids)
	}
	a, b, c, d := ring.keys[0], ring.keys[1], ring.keys[2], ring.keys[3]
	end := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC).Add(-time.Nanosecond)
	start := time.Date(2027, 1, 31, 10, 0, 0, 0, time.UTC)
	if a.Audience != "time" || !b.NotAfter.Equal(end) || !c.NotBefore.Equal(start) {
		t.Fatal(a, b, c)
	}
	// hashlib.pbkdf2_hmac('sha256', b'tulip-anvil', b'countersign/1 pass' b'd', 600000)
	stretched := "5ff6d1471818a03c71dde319160a14cb5a0ce5bfb0d77b6cde9511aca801f9f9"
	if got := fmt.Sprintf("%x", d.Secret); got != stretched {
		t.Fatal(got)
	}
	for _, faulty := range []string{"", "a", "a 0001", "a hex:0001", "a hex:xyz", "a rot13:abc",
		"a text:0123456789abcdef audience", "a text:0123456789abcdef not-after=tomorrow",
		"a text:0123456789abcdef extra=1", "a text:0123456789abcdef\na text:0123456789abcdeg"} {
		if _, err := ParseKeys(strings.NewReader(faulty)); err == nil {
			t.Errorf("%q is accepted", faulty)
		} else if strings.Contains(err.Error(), "0123") || strings.Contains(err.Error(), "xyz") {
			t.Errorf("%v repeats a secret", err)
		}
	}
}

func TestAKeyFileIsForItsOwnerAlone(t *testing.T) {
	path := t.TempDir() + "/keys"
	os.WriteFile(path, []byte("a hex:000102030405060708090a0b0c0d0e0f\n"), 0o600)
	if _, err := ReadKeyFile(path); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o640)
	if _, err := ReadKeyFile(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Fatal(err)
	}
}
