package countersign

import (
	"bufio"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A Key is a secret that a client and a server hold.
type Key struct {
	ID        string    // 1 to 64 bytes
	Secret    []byte    // at least 16 bytes
	Audience  string    // the only audience that the key is for; any if empty
	NotBefore time.Time // when it becomes valid; always if zero
	NotAfter  time.Time // when it expires; never if zero

	prk []byte
}

// A KeyRing is the keys of a program. Its clients and servers share it, so that they refuse to talk
// to each other. It can be used by many goroutines, but not changed.
type KeyRing struct {
	keys     []*Key
	decoy    *Key // in place of a key that there is not: nobody holds it
	instance []byte
}

// NewKeyRing returns a ring with these keys.
func NewKeyRing(keys ...Key) (*KeyRing, error) {
	drawn := make([]byte, 48)
	if _, err := rand.Read(drawn); err != nil {
		return nil, err
	}
	ring := &KeyRing{decoy: &Key{prk: drawn[:32]}, instance: drawn[32:]}
	for _, key := range keys {
		key := key
		if len(key.ID) < 1 || len(key.ID) > 64 || len(key.Audience) > 64 {
			return nil, fmt.Errorf("countersign: key %q: its id or audience is too long or empty", key.ID)
		}
		if len(key.Secret) < 16 {
			return nil, fmt.Errorf("countersign: key %q: the secret has fewer than 16 bytes", key.ID)
		}
		if found, _ := ring.named(key.ID); found != nil {
			return nil, fmt.Errorf("countersign: key %q occurs twice", key.ID)
		}
		key.prk = mac([]byte("countersign/1 psk"), key.Secret)
		ring.keys = append(ring.keys, &key)
	}
	return ring, nil
}

// named returns the key of a client.
func (ring *KeyRing) named(id string) (*Key, error) {
	for _, key := range ring.keys {
		if key.ID == id || id == "" {
			return key, nil
		}
	}
	return nil, fmt.Errorf("countersign: there is no key %q", id)
}

// find returns the key that a client names to a server, or the decoy.
func (ring *KeyRing) find(id, audience string, served []string) *Key {
	now, isServed := time.Now(), false
	for _, name := range served {
		isServed = isServed || name == audience
	}
	key, err := ring.named(id)
	switch {
	case err != nil, !isServed, key.Audience != "" && key.Audience != audience,
		now.Before(key.NotBefore), !key.NotAfter.IsZero() && now.After(key.NotAfter):
		return ring.decoy
	}
	return key
}

// ReadKeyFile reads the keys for countersign/1 from a file that nobody but its owner can read.
func ReadKeyFile(path string) (*KeyRing, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("countersign: others can read %s; run: chmod 600 %s", path, path)
	}
	return ParseKeys(file)
}

// ParseKeys reads lines as "id hex:secret audience=name not-after=2027-01-31". The manual's page
// src/manual/operations.md describes them. Keys for other dialects alone are left out.
func ParseKeys(r io.Reader) (*KeyRing, error) {
	var keys []Key
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimPrefix(lines.Text(), "\ufeff")
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		key, isOurs, err := parseKey(fields)
		if err != nil {
			return nil, fmt.Errorf("countersign: line %d: %w", number, err)
		}
		if isOurs {
			keys = append(keys, key)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("countersign: there is no key for countersign/1")
	}
	return NewKeyRing(keys...)
}

func parseKey(fields []string) (key Key, isOurs bool, err error) {
	if len(fields) < 2 {
		return key, false, errors.New("a key needs an id and a secret")
	}
	key.ID, isOurs = fields[0], true
	if key.Secret, err = parseSecret(key.ID, fields[1]); err != nil {
		return key, false, err
	}
	for _, field := range fields[2:] {
		name, value, _ := strings.Cut(field, "=")
		if value == "" {
			name = ""
		}
		switch name {
		case "dialects":
			isOurs = strings.Contains(","+value+",", ",countersign/1,")
		case "audience":
			key.Audience = value
		case "not-before":
			key.NotBefore, err = parseDate(value, 0)
		case "not-after":
			key.NotAfter, err = parseDate(value, 24*time.Hour-time.Nanosecond)
		default:
			err = errors.New("options are dialects=, audience=, not-before= and not-after=")
		}
		if err != nil {
			return key, false, err
		}
	}
	return key, isOurs, nil
}

func parseSecret(id, field string) ([]byte, error) {
	encoding, text, _ := strings.Cut(field, ":")
	var secret []byte
	var err error
	switch encoding {
	case "hex":
		secret, err = hex.DecodeString(text)
	case "base64":
		secret, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	case "text":
		secret = []byte(text)
	case "passphrase":
		secret = stretch(text, "countersign/1 pass"+id)
	default:
		err = errors.New("unknown")
	}
	if err != nil { // Its text may repeat a part of the secret.
		return nil, errors.New("a secret is hex:, base64:, text: or passphrase: and its text")
	}
	return secret, nil
}

// stretch is PBKDF2-HMAC-SHA256, whose first block is as long as a key.
func stretch(passphrase, salt string) []byte {
	h := hmac.New(sha256.New, []byte(passphrase))
	h.Write([]byte(salt + "\x00\x00\x00\x01"))
	block := h.Sum(nil)
	key := append([]byte(nil), block...)
	for round := 1; round < 600_000; round++ {
		h.Reset()
		h.Write(block)
		block = h.Sum(block[:0])
		for i := range key {
			key[i] ^= block[i]
		}
	}
	return key
}

// parseDate reads a day, of which so much is included, or an instant.
func parseDate(text string, included time.Duration) (time.Time, error) {
	if day, err := time.Parse("2006-01-02", text); err == nil {
		return day.Add(included), nil
	}
	instant, err := time.Parse(time.RFC3339, text)
	if err != nil {
		err = errors.New("a date is 2027-01-31 or 2027-01-31T12:00:00Z")
	}
	return instant, err
}
