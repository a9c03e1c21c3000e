// Package aead is ChaCha20-Poly1305 for tests, which so need no other module. It is slow, and its time
// depends on secrets: a program takes that of golang.org/x/crypto.
package aead

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"math/big"
	"math/bits"
)

// A chaCha20Poly1305 is RFC 8439.
type chaCha20Poly1305 struct{ key [8]uint32 }

// New returns a cipher with a key of 32 bytes.
func New(key []byte) (cipher.AEAD, error) {
	if len(key) != 32 {
		return nil, errors.New("a key has 32 bytes")
	}
	var a chaCha20Poly1305
	for i := range a.key {
		a.key[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	return &a, nil
}

func (*chaCha20Poly1305) NonceSize() int { return 12 }
func (*chaCha20Poly1305) Overhead() int  { return 16 }

func (a *chaCha20Poly1305) Seal(to, nonce, plain, additional []byte) []byte {
	sealed := a.xor(nonce, plain)
	tag := a.tag(nonce, sealed, additional)
	return append(append(to, sealed...), tag...)
}

func (a *chaCha20Poly1305) Open(to, nonce, sealed, additional []byte) ([]byte, error) {
	if len(sealed) < 16 {
		return nil, errors.New("too short")
	}
	sealed, tag := sealed[:len(sealed)-16], sealed[len(sealed)-16:]
	if subtle.ConstantTimeCompare(a.tag(nonce, sealed, additional), tag) == 0 {
		return nil, errors.New("wrong tag")
	}
	return append(to, a.xor(nonce, sealed)...), nil
}

func (a *chaCha20Poly1305) xor(nonce, in []byte) []byte {
	out := make([]byte, 0, len(in))
	for i, each := range in {
		if i%64 == 0 {
			out = append(out, a.block(nonce, uint32(1+i/64))...)
		}
		out[i] ^= each
	}
	return out[:len(in)]
}

func (a *chaCha20Poly1305) block(nonce []byte, counter uint32) []byte {
	start := [16]uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}
	copy(start[4:], a.key[:])
	start[12] = counter
	for i := 0; i < 3; i++ {
		start[13+i] = binary.LittleEndian.Uint32(nonce[4*i:])
	}
	x := start
	quarter := func(a, b, c, d int) {
		x[a] += x[b]
		x[d] = bits.RotateLeft32(x[d]^x[a], 16)
		x[c] += x[d]
		x[b] = bits.RotateLeft32(x[b]^x[c], 12)
		x[a] += x[b]
		x[d] = bits.RotateLeft32(x[d]^x[a], 8)
		x[c] += x[d]
		x[b] = bits.RotateLeft32(x[b]^x[c], 7)
	}
	for round := 0; round < 10; round++ {
		for i := 0; i < 4; i++ {
			quarter(i, 4+i, 8+i, 12+i)
		}
		for i := 0; i < 4; i++ {
			quarter(i, 4+(i+1)%4, 8+(i+2)%4, 12+(i+3)%4)
		}
	}
	var out []byte
	for i := range x {
		out = binary.LittleEndian.AppendUint32(out, x[i]+start[i])
	}
	return out
}

func (a *chaCha20Poly1305) tag(nonce, sealed, additional []byte) []byte {
	pad := func(b []byte) []byte { return append(b[:len(b):len(b)], make([]byte, -len(b)&15)...) }
	key := a.block(nonce, 0)
	r, s := littleEndian(key[:16]), littleEndian(key[16:32])
	clamp, _ := new(big.Int).SetString("0ffffffc0ffffffc0ffffffc0fffffff", 16)
	r.And(r, clamp)
	prime := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))

	text := append(pad(additional), pad(sealed)...)
	text = binary.LittleEndian.AppendUint64(text, uint64(len(additional)))
	text = binary.LittleEndian.AppendUint64(text, uint64(len(sealed)))
	sum := new(big.Int)
	for ; len(text) > 0; text = text[16:] {
		sum.Add(sum, littleEndian(append(text[:16:16], 1)))
		sum.Mod(sum.Mul(sum, r), prime)
	}
	sum.Add(sum, s)
	tag := make([]byte, 17)
	sum.FillBytes(tag)
	return reversed(tag[1:])
}

func littleEndian(b []byte) *big.Int { return new(big.Int).SetBytes(reversed(b)) }

func reversed(b []byte) []byte {
	var out []byte
	for i := range b {
		out = append(out, b[len(b)-1-i])
	}
	return out
}
