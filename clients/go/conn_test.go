package countersign

import (
	"bytes"
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

	"github.com/countersign/countersign/clients/go/internal/aead"
)

func configure(t testing.TB, keys ...Key) *Config {
	t.Helper()
	config, err := NewConfig(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return config
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

// shake returns both ends of a connection, and what they make of their handshake.
func shake(t testing.TB, forClient, forServer *Config) (client, server *Conn, errs [2]error) {
	t.Helper()
	c, s := rawPair(t)
	done := make(chan bool)
	go func() {
		server, errs[1] = Server(s, forServer)
		close(done)
	}()
	client, errs[0] = Client(c, forClient)
	<-done
	return client, server, errs
}

func pair(t testing.TB, forClient, forServer *Config) (client, server *Conn) {
	t.Helper()
	client, server, errs := shake(t, forClient, forServer)
	if errs != [2]error{} {
		t.Fatal(errs)
	}
	return client, server
}

func TestMessagesGoBothWays(t *testing.T) {
	for _, newAEAD := range []func([]byte) (cipher.AEAD, error){nil, aead.New} {
		ours, theirs := configure(t, key("k", "x")), configure(t, key("k", "x"))
		ours.NewAEAD, theirs.NewAEAD = newAEAD, newAEAD
		client, server := pair(t, ours, theirs)
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
	sparing := configure(t, key("k", "x"))
	sparing.MaxRecord = 1024
	client, server := pair(t, configure(t, key("k", "x")), sparing)
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
	sparing := configure(t, key("k", "x"))
	sparing.MaxRecord = 1024
	client, server := pair(t, configure(t, key("k", "x")), sparing)
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
	expired, early, elsewhere := key("k", "x"), key("k", "x"), key("k", "x")
	expired.NotAfter, early.NotBefore = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	elsewhere.Audience = "time"
	unproved := [2]error{ErrUnproved, io.ErrUnexpectedEOF}
	right, sealing := configure(t, key("k", "x")), configure(t, key("k", "x"))
	sealing.NewAEAD = aead.New
	for name, at := range map[string]struct {
		server   *Config
		expected [2]error
	}{
		"right":     {configure(t, key("k", "x")), [2]error{}},
		"secret":    {configure(t, key("k", "y")), unproved},
		"id":        {configure(t, key("l", "x")), unproved},
		"expired":   {configure(t, expired), unproved},
		"early":     {configure(t, early), unproved},
		"elsewhere": {configure(t, elsewhere), unproved},
		"own keys":  {right, [2]error{io.ErrUnexpectedEOF, ErrOwnKeys}},
		"unsealed":  {sealing, [2]error{Refused, Refused}},
	} {
		if _, _, errs := shake(t, right, at.server); errs != at.expected {
			t.Errorf("%s: %v", name, errs)
		}
	}
}

func TestAHandshakeHasADeadline(t *testing.T) {
	hasty := configure(t, key("k", "x"))
	hasty.HandshakeTimeout = time.Millisecond
	_, stalled := rawPair(t)
	if _, err := Client(stalled, hasty); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	hasty.HandshakeTimeout = 100 * time.Millisecond
	raw, stalled := rawPair(t)
	io.WriteString(raw, magic)
	if _, err := Server(stalled, hasty); err != TimedOut {
		t.Error(err)
	}
	told, err := io.ReadAll(raw)
	if len(told) != 32+5 || !bytes.Equal(told[32:], frame(refusal, []byte{5})) || err != nil {
		t.Error(told, err)
	}
}

func TestADeadlineLosesNothing(t *testing.T) {
	client, server := pair(t, configure(t, key("k", "x")), configure(t, key("k", "x")))
	record := client.out.seal(data, []byte("late"))
	client.Conn.Write(record[:7])
	server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := server.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	client.Conn.Write(record[7:])
	server.SetReadDeadline(time.Time{})
	if got, err := server.ReadMessage(); string(got) != "late" || err != nil {
		t.Fatal(got, err)
	}
	client.Conn.Close()
	if _, err := server.ReadMessage(); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
}

func TestParseKeys(t *testing.T) {
	text := "\ufeff# keys\r\n\n" +
		"a hex:ff0102030405060708090a0b0c0d0e0f audience=time\r\n" +
		"b base64:AAECAwQFBgcICQoLDA0ODw== not-after=2027-01-31\n" +
		"c base64:EAECAwQFBgcICQoLDA0ODw not-before=2027-01-31T12:00:00+02:00\n" +
		"old text:short dialects=raw,hex\n" +
		"d passphrase:tulip-anvil dialects=raw,countersign/1"
	config, err := ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, key := range config.Keys {
		ids = append(ids, key.ID)
	}
	if !reflect.DeepEqual(ids, []string{"a", "b", "c", "d"}) {
		t.Fatal(ids)
	}
	a, b, c, d := config.Keys[0], config.Keys[1], config.Keys[2], config.Keys[3]
	end := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	start := time.Date(2027, 1, 31, 10, 0, 0, 0, time.UTC)
	if a.Audience != "time" || !b.NotAfter.Equal(end) || !c.NotBefore.Equal(start) {
		t.Fatal(a, b, c)
	}
	// hashlib.pbkdf2_hmac('sha256', b'tulip-anvil', b'countersign/1 pass' b'd', 600000)
	stretched := "5ff6d1471818a03c71dde319160a14cb5a0ce5bfb0d77b6cde9511aca801f9f9"
	if got := fmt.Sprintf("%x", d.Secret); got != stretched {
		t.Fatal(got)
	}
	old, err := ParseKeys("a text:0123456789abcdef not-after=0001-01-01T00:00:00Z")
	if err != nil || old.find("a", "") == &old.Keys[0] {
		t.Fatal("a key that has long expired is good", err)
	}
	for _, faulty := range []string{"", "a", "a 0001", "a hex:0001", "a hex:xyz", "a rot13:abc",
		"a text:0123456789abcdef audience", "a text:0123456789abcdef not-after=tomorrow",
		"a text:0123456789abcdef extra=1", "a audience=time text:0123456789abcdef",
		"a text:0123456789abcdef text:0123456789abcdeg", "a text:0123456789abcdef\na text:0123456789abcdeg",
		"a text:0123456789abcdef\nb text:0123456789abcdef", "a text:0123456789abcdef \xff", "a text:\xff123456789abcdef",
		"a passphrase:", "a hex:00000000000000000000000000000000", "a text:0123456789abcdef dialects=countersign/1,rot13",
		"a text:0123456789abcdef audience=" + strings.Repeat("a", 65),
		"a\u0007 text:0123456789abcdef", "a text:0123456789abcdef audience=a\u0007", "a text:0123456789abcdef audience=",
		"a text:0123456789abcdef not-after=2027-01-31 not-after=2027-01-30",
		"a text:0123456789abcdef not-before=2027-01-02 not-after=2027-01-01"} {
		if _, err := ParseKeys(faulty); err == nil {
			t.Errorf("%q is accepted", faulty)
		} else if strings.Contains(err.Error(), "0123") || strings.Contains(err.Error(), "xyz") {
			t.Errorf("%v repeats a secret", err)
		}
	}
}

func TestWhoNamesNoAudienceIsToldSo(t *testing.T) {
	config, _ := ParseKeys("a text:0123456789abcdef")
	config.Audiences = nil
	for _, end := range []func(net.Conn, *Config) (*Conn, error){Client, Server} {
		here, _ := net.Pipe()
		if _, err := end(here, config); err == nil || !strings.Contains(err.Error(), "Audiences") {
			t.Fatal(err)
		}
	}
}

func TestAKeyFileIsForItsOwnerOrForAGroupThatRootLendsItTo(t *testing.T) {
	path := t.TempDir() + "/keys"
	os.WriteFile(path, []byte("a hex:000102030405060708090a0b0c0d0e0f\n"), 0o600)
	user, others := os.Geteuid(), "chmod 600"
	lent := others
	if user == 0 {
		lent = ""
	}
	cases := []struct {
		mode      os.FileMode
		uid, gid  int
		refusal   string
		needsRoot bool
	}{
		{0o600, user, -1, "", false},
		{0o640, user, -1, lent, false},
		{0o440, user, -1, lent, false},
		{0o644, user, -1, others, false},
		{0o660, user, -1, others, false},
		{0o640, 0, 54321, others, true},
		{0o600, 54321, 0, "belongs to user 54321; run: chown 0", true},
	}
	for _, c := range cases {
		if c.needsRoot && user != 0 {
			continue
		}
		os.Chmod(path, c.mode)
		os.Chown(path, c.uid, c.gid)
		_, err := ReadKeyFile(path)
		if (err == nil) != (c.refusal == "") || !strings.Contains(fmt.Sprint(err), c.refusal) {
			t.Fatal(c, err)
		}
	}
}
