package countersign

// The records after the handshake, tagged or sealed.

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
)

const (
	data    = 0x10
	ping    = 0x11
	pong    = 0x12
	closing = 0x13
	batch   = 0x14

	tagSize   = 16
	maxPing   = 125
	minRecord = 1024
	maxRecord = 1<<24 - 1
	maxBatch  = 16 << 10
)

// A direction is the records that one end sends and the other receives.
type direction struct {
	key    []byte
	mac    hash.Hash
	aead   cipher.AEAD // nil unless records are sealed
	number uint64      // of the next record, whatever its type
	limit  int         // the longest length in a header
}

func newDirection(key []byte, limit int) *direction {
	if limit > maxRecord {
		limit = maxRecord
	}
	return &direction{key: key, mac: hmac.New(sha256.New, key), limit: limit}
}

// seal appends a record.
func (d *direction) seal(to []byte, kind byte, payload []byte) []byte {
	start := len(to)
	to = append(to, header(kind, len(payload)+tagSize)...)
	if d.aead != nil {
		to = d.aead.Seal(to, d.nonce(), payload, to[start:])
	} else {
		to = append(to, payload...)
		to = append(to, d.tag(to[start:])...)
	}
	d.number++
	return to
}

// open returns the payload of a record, and whether it is what the peer sent next.
func (d *direction) open(record []byte) (payload []byte, isGenuine bool) {
	end := len(record) - tagSize
	if d.aead != nil {
		opened, err := d.aead.Open(nil, d.nonce(), record[4:], record[:4])
		payload, isGenuine = opened, err == nil
	} else {
		payload = append(payload, record[4:end]...)
		isGenuine = hmac.Equal(record[end:], d.tag(record[:end]))
	}
	d.number++
	return payload, isGenuine
}

func (d *direction) tag(record []byte) []byte {
	d.mac.Reset()
	d.mac.Write(number(d.number, 8))
	d.mac.Write(record)
	return d.mac.Sum(nil)[:tagSize]
}

func (d *direction) nonce() []byte { return append(make([]byte, 4), number(d.number, 8)...) }

// sealMessages returns records with these messages: what goes out together is one batch.
func (d *direction) sealMessages(messages [][]byte) (records []byte, err error) {
	for _, message := range messages {
		if len(message)+tagSize > d.limit {
			return nil, ErrTooLong
		}
	}
	for len(messages) > 0 {
		count, payload := d.fill(messages)
		if count > 1 {
			records = d.seal(records, batch, payload)
		} else {
			count = 1
			records = d.seal(records, data, messages[0])
		}
		messages = messages[count:]
	}
	return records, nil
}

// fill returns how many messages fit into one batch, and its payload.
func (d *direction) fill(messages [][]byte) (count int, payload []byte) {
	for _, message := range messages {
		length := len(payload) + 3 + len(message) + tagSize
		if length > d.limit || length > maxBatch {
			break
		}
		payload = append(payload, number(uint64(len(message)), 3)...)
		payload = append(payload, message...)
		count++
	}
	return count, payload
}

// split returns the messages of a batch, all or none.
func split(payload []byte) ([][]byte, error) {
	var messages [][]byte
	p := parser{rest: payload, isMalformed: len(payload) == 0}
	for len(p.rest) > 0 {
		messages = append(messages, p.take(p.number(3)))
	}
	if p.isMalformed {
		return nil, ErrProtocol
	}
	return messages, nil
}
