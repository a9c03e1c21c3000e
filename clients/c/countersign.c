/*
 * countersign/1 and raw: see countersign.h.
 *
 * From the bottom up: bytes, SHA-256, HMAC, sealing, records, the handshake of either end, and the
 * public functions. All integers on the wire are big-endian. Nothing here branches on a secret, and
 * no secret is an index.
 *
 * Licensed under MIT or Apache-2.0, at your option.
 */
#include "countersign.h"

#include <string.h>

enum {
    HEADER = 4, /* A type, and a length of three bytes. */
    TAG = 16,
    PROOF = 32,
    CALL_MAX = 512,   /* With the magic. */
    ANSWER_MAX = 512, /* With the header. */
    CALL_FIXED = 56,  /* The fields of a client's hello before the key id. */
    ANSWER_FIXED = 26, /* The fields of a server's hello before its extensions. */
    PING_MAX = 125,
    BATCH_MAX = 16384,
    RECORD_LEAST = 1024,
    OUR_CALL_MAX = 8 + HEADER + CALL_FIXED + 2 * (1 + CS_NAME_MAX) + 2 + 5,
    REPLY_MAX = OUR_CALL_MAX /* The most that a step writes: more than an answer, or a pong. */
};

/* The most that a length of three bytes can say; more than an int has in some places. */
#define LENGTH_MAX 0xffffffUL

/* The types of frames and records. */
enum {
    HELLO = 0x01,
    ANSWER = 0x02,
    CONFIRM = 0x03,
    ACCEPT = 0x04,
    REFUSAL = 0x05,
    DATA = 0x10,
    PING = 0x11,
    PONG = 0x12,
    CLOSE = 0x13,
    BATCH = 0x14
};

/* What is awaited. */
enum {
    FAILED,        /* Nothing any more. */
    CALL_DUE,      /* At a server: the client's call. */
    CONFIRM_DUE,   /* At a server: the client's proof. */
    PROOF_DUE,     /* At a server that speaks raw: the answer to its challenge. */
    ANSWER_DUE,    /* At a client: the server's nonce, its hello and its proof. */
    CHALLENGE_DUE, /* At a client that speaks raw. */
    ACCEPT_DUE,    /* At a client: that its proof was accepted. It may send already. */
    RECORDS,
    PLAIN
};

/* The flags of a hello. */
enum { RECORDS_OFFERED = 1, RECORDS_REQUIRED = 2 };

static const uint8_t MAGIC[8] = { 0x9e, 'c', 's', 'g', 'n', '/', '1', '\n' };

/* Bytes. */

static uint32_t load32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static void store32(uint8_t *to, uint32_t number)
{
    to[0] = (uint8_t)(number >> 24);
    to[1] = (uint8_t)(number >> 16);
    to[2] = (uint8_t)(number >> 8);
    to[3] = (uint8_t)number;
}

/* A number of up to four bytes. */
static uint32_t load(const uint8_t *from, unsigned width)
{
    uint32_t number = 0;

    while (width-- > 0)
        number = number << 8 | *from++;
    return number;
}

/* A type and a length, which is at most LENGTH_MAX. */
static void put_header(uint8_t *to, uint8_t type, uint32_t length)
{
    store32(to, length);
    to[0] = type;
}

/* Whether bytes are the same; in a time that depends on their number alone. */
static int equal(const uint8_t *one, const uint8_t *other, size_t length)
{
    volatile uint8_t differing = 0;

    while (length-- > 0)
        differing |= (uint8_t)(*one++ ^ *other++);
    return differing == 0;
}

/* Volatile, so that no compiler leaves it out. */
void cs_wipe(void *memory, size_t length)
{
    volatile uint8_t *at = (volatile uint8_t *)memory;

    while (length-- > 0)
        *at++ = 0;
}

/* Splits a field off the front: a length of `width` bytes, and as many bytes as it says. */
static int take(struct cs_bytes *rest, unsigned width, struct cs_bytes *field)
{
    uint32_t length;

    if (rest->length < width)
        return 0;
    length = load(rest->data, width);
    if (length > rest->length - width)
        return 0;
    field->data = rest->data + width;
    field->length = (size_t)length;
    rest->length -= width + field->length;
    rest->data = field->data + field->length;
    return 1;
}

/* SHA-256 (FIPS 180-4), of less than 2^29 bytes. */

#ifdef CS_SHA256_PORT
#include CS_SHA256_PORT
#else

struct cs_sha256 {
    uint32_t state[8];
    uint32_t length;   /* How many bytes were hashed. */
    uint8_t block[64]; /* The last of them, which don't fill a block. */
};

static const uint32_t SHA256_START[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
};

static const uint32_t SHA256_ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static uint32_t rotate(uint32_t word, int by)
{
    return word >> by | word << (32 - by);
}

/* The next 16 words of the message schedule, in the place of the last 16. */
static void sha256_schedule(uint32_t w[32])
{
    uint32_t *next, near, far;

    for (next = w; next < w + 16; next++) {
        near = next[1];
        far = next[14];
        near = rotate(near, 7) ^ rotate(near, 18) ^ near >> 3;
        far = rotate(far, 17) ^ rotate(far, 19) ^ far >> 10;
        next[16] = next[0] + near + next[9] + far;
    }
    memcpy(w, w + 16, 16 * sizeof *w);
}

/* 16 rounds on the last eight words. In each, they move on by one place: here the view of them
 * moves, to the front. */
static void sha256_rounds(uint32_t words[16 + 8], const uint32_t w[16], const uint32_t round[16])
{
    uint32_t t, *s = words + 16;

    while (s > words) {
        t = s[7] + *round++ + *w++ + (s[6] ^ (s[4] & (s[5] ^ s[6])));
        t += rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25);
        s--;
        s[4] += t;
        t += (s[1] & s[2]) | (s[3] & (s[1] | s[2]));
        s[0] = t + (rotate(s[1], 2) ^ rotate(s[1], 13) ^ rotate(s[1], 22));
    }
    memcpy(words + 16, words, 8 * sizeof *words);
}

static void sha256_block(uint32_t state[8], const uint8_t block[64])
{
    uint32_t words[32 + 16 + 8], *w = words, *s = words + 32;
    unsigned i;

    for (i = 0; i < 16; i++)
        w[i] = load32(block + 4 * i);
    memcpy(s + 16, state, 8 * sizeof *s);
    for (i = 0; i < 64; i += 16) {
        if (i > 0)
            sha256_schedule(w);
        sha256_rounds(s, w, SHA256_ROUND + i);
    }
    for (i = 0; i < 8; i++)
        state[i] += s[16 + i];
    /* A key may have been hashed. */
    for (i = 0; i < sizeof words / sizeof *words; i++)
        ((volatile uint32_t *)words)[i] = 0;
}

static void cs_sha256_init(struct cs_sha256 *hash)
{
    memcpy(hash->state, SHA256_START, sizeof hash->state);
    hash->length = 0;
}

static void cs_sha256_update(struct cs_sha256 *hash, const uint8_t *data, size_t length)
{
    size_t at, n;

    for (; length > 0; length -= n, data += n) {
        at = hash->length % 64;
        n = length < 64 - at ? length : 64 - at;
        memcpy(hash->block + at, data, n);
        hash->length += (uint32_t)n;
        if (at + n == 64)
            sha256_block(hash->state, hash->block);
    }
}

static void cs_sha256_final(struct cs_sha256 *hash, uint8_t digest[32])
{
    static const uint8_t padding[64] = { 0x80 };
    uint32_t length = hash->length;
    uint8_t bits[8] = { 0 };
    unsigned i;

    cs_sha256_update(hash, padding, 1 + (119 - length % 64) % 64);
    store32(bits + 4, length << 3);
    cs_sha256_update(hash, bits, sizeof bits);
    for (i = 0; i < 8; i++)
        store32(digest + 4 * i, hash->state[i]);
}

#endif

/* HMAC-SHA256 (RFC 2104). */

static void fill_pad(uint8_t block[64], const uint8_t *key, size_t length, uint8_t pad)
{
    size_t i;

    for (i = 0; i < 64; i++)
        block[i] = (uint8_t)((i < length ? key[i] : 0) ^ pad);
}

enum { INNER_PAD = 0x36, OUTER_PAD = 0x5c };

#ifdef CS_SHA256_PORT

static void hmac_key(struct cs_hmac *hmac, const uint8_t *key, size_t length)
{
    fill_pad(hmac->block, key, length, 0);
}

static void hmac_half(struct cs_sha256 *hash, const struct cs_hmac *hmac, uint8_t pad)
{
    uint8_t block[64];

    fill_pad(block, hmac->block, sizeof block, pad);
    cs_sha256_init(hash);
    cs_sha256_update(hash, block, sizeof block);
    cs_wipe(block, sizeof block);
}

#else

static void hmac_pad(uint32_t state[8], const uint8_t *key, size_t length, uint8_t pad)
{
    uint8_t block[64];

    fill_pad(block, key, length, pad);
    memcpy(state, SHA256_START, sizeof SHA256_START);
    sha256_block(state, block);
    cs_wipe(block, sizeof block);
}

/* Absorbs the key, of at most 64 bytes, so that it costs nothing later. */
static void hmac_key(struct cs_hmac *hmac, const uint8_t *key, size_t length)
{
    hmac_pad(hmac->inner, key, length, INNER_PAD);
    hmac_pad(hmac->outer, key, length, OUTER_PAD);
}

/* Begins the inner hash or the outer one. */
static void hmac_half(struct cs_sha256 *hash, const struct cs_hmac *hmac, uint8_t pad)
{
    memcpy(hash->state, pad == INNER_PAD ? hmac->inner : hmac->outer, sizeof hash->state);
    hash->length = 64;
}

#endif

static void hmac_begin(struct cs_sha256 *hash, const struct cs_hmac *hmac)
{
    hmac_half(hash, hmac, INNER_PAD);
}

static void hmac_end(struct cs_sha256 *hash, const struct cs_hmac *hmac, uint8_t mac[32])
{
    cs_sha256_final(hash, mac);
    hmac_half(hash, hmac, OUTER_PAD);
    cs_sha256_update(hash, mac, 32);
    cs_sha256_final(hash, mac);
    cs_wipe(hash, sizeof *hash);
}

/* All labels of the protocol begin with its name. */
static void hash_label(struct cs_sha256 *hash, const char *label)
{
    cs_sha256_update(hash, (const uint8_t *)"countersign/1 ", 14);
    for (; *label != '\0'; label++)
        cs_sha256_update(hash, (const uint8_t *)label, 1);
}

/* Sealing: ChaCha20-Poly1305 (RFC 8439). */

#ifdef CS_SEAL

enum { CHACHA20_POLY1305 = 1 };

#define LIMB 0x3ffffffUL

/* The extension of both hellos: its number, its length, and the one suite that there is. */
static const uint8_t SEALING[5] = { 0, 1, 0, 1, CHACHA20_POLY1305 };

static uint32_t load32_le(const uint8_t *from)
{
    return (uint32_t)from[3] << 24 | (uint32_t)from[2] << 16 | (uint32_t)from[1] << 8 | from[0];
}

static void store32_le(uint8_t *to, uint32_t number)
{
    to[0] = (uint8_t)number;
    to[1] = (uint8_t)(number >> 8);
    to[2] = (uint8_t)(number >> 16);
    to[3] = (uint8_t)(number >> 24);
}

static void chacha_mix(uint32_t *a, uint32_t *b, uint32_t *d, int by)
{
    *a += *b;
    *d ^= *a;
    *d = *d << by | *d >> (32 - by);
}

static void chacha_quarter(uint32_t s[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
    chacha_mix(s + a, s + b, s + d, 16);
    chacha_mix(s + c, s + d, s + b, 12);
    chacha_mix(s + a, s + b, s + d, 8);
    chacha_mix(s + c, s + d, s + b, 7);
}

/* A block of the key stream of this record. */
static void chacha_block(const struct cs_direction *direction, uint32_t count, uint8_t stream[64])
{
    static const uint8_t name[16] = "expand 32-byte k";
    uint32_t start[16], s[16];
    uint8_t number[8];
    unsigned i;

    for (i = 0; i < 4; i++)
        start[i] = load32_le(name + 4 * i);
    for (i = 0; i < 8; i++)
        start[4 + i] = load32_le(direction->key.sealing + 4 * i);
    store32(number, (uint32_t)(direction->number >> 32));
    store32(number + 4, (uint32_t)direction->number);
    start[12] = count;
    start[13] = 0;
    start[14] = load32_le(number);
    start[15] = load32_le(number + 4);
    memcpy(s, start, sizeof s);
    for (i = 0; i < 80; i++) {
        /* Of eight quarters, four work on columns and four on diagonals. */
        unsigned at = i % 4, by = i / 4 % 2;
        chacha_quarter(s, at, 4 + (at + by) % 4, 8 + (at + 2 * by) % 4, 12 + (at + 3 * by) % 4);
    }
    for (i = 0; i < 16; i++)
        store32_le(stream + 4 * i, s[i] + start[i]);
    cs_wipe(start, sizeof start);
    cs_wipe(s, sizeof s);
}

/* Encrypts the payload of a record, or decrypts it. */
static void chacha_apply(const struct cs_direction *direction, uint8_t *payload, size_t length)
{
    uint8_t stream[64];
    size_t i;

    for (i = 0; i < length; i++) {
        if (i % 64 == 0)
            chacha_block(direction, 1 + (uint32_t)(i / 64), stream);
        payload[i] ^= stream[i % 64];
    }
    cs_wipe(stream, sizeof stream);
}

/* Poly1305, in limbs of 26 bits. */
struct poly1305 {
    uint32_t r[5]; /* The multiplier. */
    uint32_t h[5]; /* What was hashed so far. */
};

static void poly1305_limbs(uint32_t limbs[5], const uint8_t block[16])
{
    unsigned i;

    for (i = 0; i < 4; i++)
        limbs[i] = load32_le(block + 3 * i) >> 2 * i & LIMB;
    limbs[4] = load32_le(block + 12) >> 8;
}

/* Carries once around, where 2^130 is 5. */
static void poly1305_carry(uint32_t h[5])
{
    uint32_t carry = 0;
    unsigned i;

    for (i = 0; i < 5; i++) {
        h[i] += carry;
        carry = h[i] >> 26;
        h[i] &= LIMB;
    }
    h[0] += 5 * carry;
}

static void poly1305_block(struct poly1305 *poly, const uint8_t block[16])
{
    uint32_t m[5];
    uint64_t sum, carry = 0;
    unsigned i, j;

    poly1305_limbs(m, block);
    m[4] |= 1UL << 24;
    for (j = 0; j < 5; j++)
        m[j] += poly->h[j];
    for (i = 0; i < 5; i++) {
        sum = carry;
        for (j = 0; j < 5; j++)
            sum += (uint64_t)m[j] * (j <= i ? poly->r[i - j] : 5 * poly->r[5 + i - j]);
        poly->h[i] = (uint32_t)sum & LIMB;
        carry = sum >> 26;
    }
    carry = poly->h[0] + 5 * carry;
    poly->h[0] = (uint32_t)carry & LIMB;
    poly->h[1] += (uint32_t)(carry >> 26);
}

/* The tag: what was hashed, modulo 2^130 - 5, and the other half of the key. */
static void poly1305_end(struct poly1305 *poly, const uint8_t pad[16], uint8_t tag[16])
{
    uint32_t g[5], keep, *h = poly->h;
    uint64_t sum = 0;
    unsigned i;

    poly1305_carry(h);
    poly1305_carry(h);
    /* In g: h + 5 - 2^130, which is h - (2^130 - 5). It is kept unless it is negative. */
    for (i = 0; i < 5; i++) {
        sum += h[i] + (i == 0 ? 5UL : 0UL);
        g[i] = (uint32_t)sum & LIMB;
        sum >>= 26;
    }
    keep = 0 - (uint32_t)sum;
    for (i = 0; i < 5; i++)
        h[i] = (h[i] & ~keep) | (g[i] & keep);
    sum = 0;
    for (i = 0; i < 4; i++) {
        sum += (uint64_t)(uint32_t)(h[i] >> 6 * i | h[i + 1] << (26 - 6 * i));
        sum += load32_le(pad + 4 * i);
        store32_le(tag + 4 * i, (uint32_t)sum);
        sum >>= 32;
    }
}

/* Hashes bytes, padded with zeros to whole blocks. */
static void poly1305_update(struct poly1305 *poly, const uint8_t *data, size_t length)
{
    uint8_t block[16];
    size_t n;

    for (; length > 0; length -= n, data += n) {
        n = length < sizeof block ? length : sizeof block;
        memset(block, 0, sizeof block);
        memcpy(block, data, n);
        poly1305_block(poly, block);
    }
}

/* The tag of a record whose payload is encrypted. */
static void seal_tag(const struct cs_direction *direction, const uint8_t *record, size_t length,
                     uint8_t tag[TAG])
{
    static const uint32_t clamp[5] = { 0x3ffffff, 0x3ffff03, 0x3ffc0ff, 0x3f03fff, 0x00fffff };
    struct poly1305 poly = { { 0 }, { 0 } };
    uint8_t stream[64], lengths[16] = { HEADER };
    unsigned i;

    chacha_block(direction, 0, stream);
    poly1305_limbs(poly.r, stream);
    for (i = 0; i < 5; i++)
        poly.r[i] &= clamp[i];
    poly1305_update(&poly, record, HEADER);
    poly1305_update(&poly, record + HEADER, length - HEADER);
    store32_le(lengths + 8, (uint32_t)(length - HEADER));
    poly1305_update(&poly, lengths, sizeof lengths);
    poly1305_end(&poly, stream + 16, tag);
    cs_wipe(&poly, sizeof poly);
    cs_wipe(stream, sizeof stream);
}

/* From the next record of this direction on, records are sealed. */
static void start_sealing(struct cs_direction *direction)
{
    struct cs_sha256 hash;
    uint8_t key[32];

    hmac_begin(&hash, &direction->key.hmac);
    hash_label(&hash, "chacha20-poly1305");
    hmac_end(&hash, &direction->key.hmac, key);
    memcpy(direction->key.sealing, key, sizeof key);
    direction->is_sealed = 1;
    cs_wipe(key, sizeof key);
}

static int seals(const struct cs_session *cs)
{
    return cs->config->records == CS_SEALED;
}

#endif

/* Records. */

/* The tag of the next record, of which this is everything before the tag. */
static void record_tag(const struct cs_direction *direction, const uint8_t *record, size_t length,
                       uint8_t mac[32])
{
    struct cs_sha256 hash;
    uint8_t number[8];

#ifdef CS_SEAL
    if (direction->is_sealed) {
        seal_tag(direction, record, length, mac);
        return;
    }
#endif
    store32(number, (uint32_t)(direction->number >> 32));
    store32(number + 4, (uint32_t)direction->number);
    hmac_begin(&hash, &direction->key.hmac);
    cs_sha256_update(&hash, number, sizeof number);
    cs_sha256_update(&hash, record, length);
    hmac_end(&hash, &direction->key.hmac, mac);
}

/* Encrypts or decrypts the payload of the next record, if records are sealed. */
static void apply_cipher(const struct cs_direction *direction, uint8_t *record, size_t length)
{
#ifdef CS_SEAL
    if (direction->is_sealed)
        chacha_apply(direction, record + HEADER, length - HEADER);
#else
    (void)direction, (void)record, (void)length;
#endif
}

/* Whether the tag is that of the next record. Then its payload is decrypted. */
static int verify_record(struct cs_direction *direction, uint8_t *record, size_t length)
{
    uint8_t mac[32];
    int is_right;

    length -= TAG;
    record_tag(direction, record, length, mac);
    is_right = equal(mac, record + length, TAG);
    if (is_right)
        apply_cipher(direction, record, length);
    direction->number++;
    return is_right;
}

/* How many bytes can still be appended; the tag of a record that was begun has its place. */
static size_t room(const struct cs_session *cs)
{
    return cs->out_size - cs->used - (cs->joined > 0 ? TAG : 0);
}

static void append(struct cs_session *cs, const void *data, size_t length)
{
    if (length > 0)
        memcpy(cs->out + cs->used, data, length);
    cs->used += length;
}

/* Completes what is appended from `start` on, which has room for a header, to a record. */
static void protect_record(struct cs_session *cs, uint8_t type, size_t start)
{
    uint8_t mac[32], *record = cs->out + start;
    size_t length = cs->used - start;

    put_header(record, type, (uint32_t)(length - HEADER + TAG));
    apply_cipher(&cs->ours, record, length);
    record_tag(&cs->ours, record, length, mac);
    append(cs, mac, TAG);
    cs->ours.number++;
}

/* Completes the record that messages may join, if there is one. */
static void end_record(struct cs_session *cs)
{
    uint8_t type = cs->joined > 1 ? BATCH : DATA;

    if (cs->joined > 0)
        protect_record(cs, type, cs->begun);
    cs->joined = 0;
}

static void append_record(struct cs_session *cs, uint8_t type, const uint8_t *payload,
                          size_t length)
{
    size_t start;

    end_record(cs);
    start = cs->used;
    cs->used += HEADER;
    append(cs, payload, length);
    protect_record(cs, type, start);
}

static void append_frame(struct cs_session *cs, uint8_t type, const uint8_t *body, size_t length)
{
    put_header(cs->out + cs->used, type, (uint32_t)length);
    cs->used += HEADER;
    append(cs, body, length);
}

/* The end of a session. */

/* The reason that a client is told, or 0 for none. All that has to do with the key are one. */
static uint8_t refusal_of(enum cs_error error)
{
    switch (error) {
    case CS_VERSION:
        return CS_REFUSE_VERSION;
    case CS_BAD_PROOF:
    case CS_NO_KEY:
    case CS_PROTECTION:
        return CS_REFUSE_KEY;
    case CS_MALFORMED:
        return CS_REFUSE_MALFORMED;
    default:
        return 0;
    }
}

/* Tells a client why its handshake ends. Our nonce always precedes that. */
static void tell(struct cs_session *cs, uint8_t refusal)
{
    int is_call = cs->state == CALL_DUE && cs->have >= sizeof MAGIC;

    if (refusal == 0 || (!is_call && cs->state != CONFIRM_DUE))
        return;
    if (is_call)
        append(cs, cs->nonce, sizeof cs->nonce);
    append_frame(cs, REFUSAL, &refusal, 1);
}

static enum cs_event fail(struct cs_session *cs, enum cs_error error)
{
    tell(cs, refusal_of(error));
    cs->state = FAILED;
    cs->error = error;
    return CS_FAILED;
}

/* The handshake, for both ends. */

/* Returns whether the buffers are large enough. If not, the session has failed. */
static int begin(struct cs_session *cs, const struct cs_config *config, uint8_t *in,
                 size_t in_size, uint8_t *out, size_t out_size)
{
    memset(cs, 0, sizeof *cs);
    cs->config = config;
    cs->in = in;
    cs->in_size = in_size;
    cs->out = out;
    cs->out_size = out_size;
    if (in_size < CS_CLIENT_MIN || out_size < CS_OUTPUT_MIN)
        cs->error = CS_NO_ROOM;
    return cs->error == CS_OK;
}

/* The longest record that we accept, as we tell it. */
static uint32_t our_record_max(const struct cs_session *cs)
{
    if (cs->in_size < HEADER + RECORD_LEAST)
        return RECORD_LEAST;
    if (cs->in_size > HEADER + LENGTH_MAX)
        return LENGTH_MAX;
    return (uint32_t)cs->in_size - HEADER;
}

/* Notes the longest record that the other end accepts. Returns whether it may say so. */
static int set_record_max(struct cs_session *cs, uint32_t record_max)
{
    cs->record_max = record_max < LENGTH_MAX ? record_max : LENGTH_MAX;
    return record_max >= RECORD_LEAST;
}

/* What both have said before the first proof: the nonce of the server, the call, and the answer. */
static void transcript(uint8_t th[32], const uint8_t *nonce, const struct cs_bytes *call,
                       const struct cs_bytes *answer)
{
    struct cs_sha256 hash;

    cs_sha256_init(&hash);
    hash_label(&hash, "th");
    cs_sha256_update(&hash, nonce, CS_RANDOM);
    cs_sha256_update(&hash, call->data, call->length);
    cs_sha256_update(&hash, answer->data, answer->length);
    cs_sha256_final(&hash, th);
}

/* The next block of HKDF-Expand (RFC 5869), in the place of the one before it. */
static void expand(const struct cs_hmac *prk, const uint8_t th[32], uint8_t count,
                   uint8_t block[32])
{
    struct cs_sha256 hash;

    hmac_begin(&hash, prk);
    if (count > 1)
        cs_sha256_update(&hash, block, 32);
    hash_label(&hash, "keys");
    cs_sha256_update(&hash, th, 32);
    cs_sha256_update(&hash, &count, 1);
    hmac_end(&hash, prk, block);
}

/* The proof of an end that has this key and has seen all this. */
static void prove(const uint8_t key[32], const char *label, const uint8_t *seen, size_t length,
                  uint8_t proof[PROOF])
{
    struct cs_sha256 hash;
    struct cs_hmac hmac;

    hmac_key(&hmac, key, 32);
    hmac_begin(&hash, &hmac);
    hash_label(&hash, label);
    cs_sha256_update(&hash, seen, length);
    hmac_end(&hash, &hmac, proof);
    cs_wipe(&hmac, sizeof hmac);
}

/* What both ends derive from the key and from what was said. */
struct secrets {
    uint8_t seen[64];         /* The transcript, and behind it the server's proof. */
    uint8_t client_proof[32];
};

static void derive(struct cs_session *cs, const uint8_t prk[32], struct secrets *secrets,
                   struct cs_direction *to_client, struct cs_direction *to_server)
{
    struct cs_hmac hmac;
    uint8_t block[32], *th = secrets->seen, *server_proof = secrets->seen + 32;

    hmac_key(&hmac, prk, 32);
    expand(&hmac, th, 1, block);
    prove(block, "server", th, 32, server_proof);
    expand(&hmac, th, 2, block);
    prove(block, "client", th, 64, secrets->client_proof);
    expand(&hmac, th, 3, block);
    hmac_key(&to_client->key.hmac, block, 32);
    expand(&hmac, th, 4, block);
    hmac_key(&to_server->key.hmac, block, 32);
    expand(&hmac, th, 5, block);
    memcpy(cs->exporter, block, sizeof block);
    cs_wipe(&hmac, sizeof hmac);
    cs_wipe(block, sizeof block);
}

/* After the handshake, bytes or records follow. */
static uint8_t established(const struct cs_session *cs)
{
    return cs->has_records ? RECORDS : PLAIN;
}

/* The client. */

#ifndef CS_NO_CLIENT

static uint8_t *put(uint8_t *to, const void *data, size_t length)
{
    if (length > 0)
        memcpy(to, data, length);
    return to + length;
}

static uint8_t *put_name(uint8_t *to, const struct cs_bytes *name)
{
    *to = (uint8_t)name->length;
    return put(to + 1, name->data, name->length);
}

/* Our call, from the magic on: the same each time. Returns its length. */
static size_t put_call(const struct cs_session *cs, uint8_t call[OUR_CALL_MAX])
{
    uint8_t *body = put(call, MAGIC, sizeof MAGIC) + HEADER, *to = body + 8;
    enum cs_records records = cs->config->records;

    /* The least version and the most, and the flags. */
    store32(body, 0x01010000 | RECORDS_OFFERED | RECORDS_REQUIRED);
    if (records == CS_ALLOWED)
        body[3] = RECORDS_OFFERED;
    if (records == CS_OFF)
        body[3] = 0;
    store32(body + 4, our_record_max(cs));
    to = put(to, cs->nonce, sizeof cs->nonce);
    to = put(to, cs->config->instance, CS_INSTANCE);
    to = put_name(to, &cs->config->keys->id);
    to = put_name(to, &cs->config->keys->audience);
    *to++ = 0;
    *to++ = 0;
#ifdef CS_SEAL
    if (seals(cs)) {
        to[-1] = sizeof SEALING;
        to = put(to, SEALING, sizeof SEALING);
    }
#endif
    put_header(call + sizeof MAGIC, HELLO, (uint32_t)(to - body));
    return (size_t)(to - call);
}

void cs_client(struct cs_session *cs, const struct cs_config *config,
               const uint8_t random[CS_RANDOM], uint8_t *in, size_t in_size, uint8_t *out,
               size_t out_size)
{
    if (!begin(cs, config, in, in_size, out, out_size))
        return;
    cs->state = ANSWER_DUE;
    memcpy(cs->nonce, random, CS_RANDOM);
    cs->used = put_call(cs, out);
}

/* The server answers the extension that we have offered, and no other. */
static int answers_ours(const struct cs_session *cs, const uint8_t *list, size_t length)
{
#ifdef CS_SEAL
    if (seals(cs) && length >= 4 && load(list, 2) == 1)
        return load(list + 2, 2) == length - 4;
#else
    (void)cs, (void)list;
#endif
    return length == 0;
}

/* Whether the server has chosen what it may. Its proof is not verified yet. */
static enum cs_error check_answer(struct cs_session *cs, const uint8_t *hello, size_t length)
{
    const uint8_t *rest = hello + ANSWER_FIXED;

    /* Version 1, status 0, and no flag but bit 0. */
    if (length < ANSWER_FIXED || load(hello, 4) >> 1 != 0x01000000 >> 1)
        return CS_MALFORMED;
    if (!set_record_max(cs, load(hello + 4, 4)) || load(rest - 2, 2) != length - ANSWER_FIXED
        || !answers_ours(cs, rest, length - ANSWER_FIXED))
        return CS_MALFORMED;
    cs->has_records = hello[3];
    if (cs->config->records != CS_ALLOWED && cs->has_records != (cs->config->records != CS_OFF))
        return CS_PROTECTION;
    if (memcmp(hello + 8, cs->config->instance, CS_INSTANCE) == 0)
        return CS_REFLECTED;
    return CS_OK;
}

/* Verifies the server's proof. What is behind it was said by the server, and is not a forgery. */
static enum cs_error verify_answer(struct cs_session *cs, const struct cs_bytes *answer,
                                   const uint8_t proof[PROOF])
{
    const uint8_t *end = answer->data + answer->length;

    if (!equal(proof, end, PROOF))
        return CS_BAD_PROOF;
#ifdef CS_SEAL
    if (!seals(cs))
        return CS_OK;
    if (answer->length != HEADER + ANSWER_FIXED + sizeof SEALING || end[-1] != CHACHA20_POLY1305)
        return CS_PROTECTION;
    start_sealing(&cs->ours);
#else
    (void)cs;
#endif
    return CS_OK;
}

/* The server's nonce, its hello and its proof have arrived: we prove that we hold the key too. */
static enum cs_event receive_answer(struct cs_session *cs, size_t length)
{
    const struct cs_key *key = cs->config->keys;
    uint8_t *call = cs->out + cs->used;
    struct cs_bytes called = { call, put_call(cs, call) };
    struct cs_bytes answer = { cs->in + CS_RANDOM, length - CS_RANDOM - PROOF };
    struct secrets secrets;
    enum cs_error error = check_answer(cs, answer.data + HEADER, answer.length - HEADER);

    if (error != CS_OK)
        return fail(cs, error);
    transcript(secrets.seen, cs->in, &called, &answer);
    derive(cs, key->prk, &secrets, &cs->theirs, &cs->ours);
    error = verify_answer(cs, &answer, secrets.seen + 32);
    if (error == CS_OK) {
        append_frame(cs, CONFIRM, secrets.client_proof, PROOF);
        cs->key = key;
        cs->state = ACCEPT_DUE;
    }
    cs_wipe(&secrets, sizeof secrets);
    return error == CS_OK ? CS_OPEN : fail(cs, error);
}

/* The server accepts our proof. */
static enum cs_event receive_accept(struct cs_session *cs, size_t length)
{
    if (!verify_record(&cs->theirs, cs->in, length) || cs->in[HEADER] != 0)
        return fail(cs, CS_BAD_RECORD);
#ifdef CS_SEAL
    if (seals(cs))
        start_sealing(&cs->theirs);
#endif
    cs->state = established(cs);
    return CS_WAIT;
}

/* The server refuses: its reason is the last byte. */
static enum cs_event receive_refusal(struct cs_session *cs, size_t length)
{
    cs->refusal = cs->in[length - 1];
    return fail(cs, CS_REFUSED);
}

#endif

/* The server. */

#ifndef CS_NO_SERVER

void cs_server(struct cs_session *cs, const struct cs_config *config,
               const uint8_t random[CS_RANDOM], uint8_t *in, size_t in_size, uint8_t *out,
               size_t out_size)
{
    if (!begin(cs, config, in, in_size, out, out_size))
        return;
    cs->state = CALL_DUE;
    memcpy(cs->nonce, random, CS_RANDOM);
}

void cs_refuse(struct cs_session *cs, enum cs_refusal why)
{
    tell(cs, (uint8_t)why);
    fail(cs, CS_OK);
}

/* What a client asks for. */
struct hello {
    uint32_t flags;           /* Whether it offers records, or requires them. */
    struct cs_bytes id;       /* The key. */
    struct cs_bytes audience; /* The service. */
    struct cs_bytes suites;   /* By which it could seal records. */
};

/* Whether a list of extensions up to `end`, whose form is right, has this id. */
static int has_extension(const uint8_t *list, const uint8_t *end, uint32_t id)
{
    while (list < end) {
        if (load(list, 2) == id)
            return 1;
        list += 4 + load(list + 2, 2);
    }
    return 0;
}

/* Whether a list of extensions has the right form: none overruns, and none is there twice. */
static int read_extensions(struct cs_bytes rest, struct cs_bytes *suites)
{
    const uint8_t *list = rest.data, *at;
    struct cs_bytes value;

    while (rest.length > 0) {
        at = rest.data;
        if (rest.length < 2)
            return 0;
        rest.data += 2;
        rest.length -= 2;
        if (!take(&rest, 2, &value) || has_extension(list, at, load(at, 2)))
            return 0;
        if (load(at, 2) == 1)
            *suites = value;
    }
    return 1;
}

/* Whether a list of suites has the right form: at least one, and none twice. */
static int are_suites(const struct cs_bytes *suites)
{
    size_t i, j;

    for (i = 1; i < suites->length; i++) {
        for (j = 0; j < i; j++) {
            if (suites->data[i] == suites->data[j])
                return 0;
        }
    }
    return suites->length > 0;
}

/* Reads a client's hello. Nothing here may depend on the keys. */
static enum cs_error read_hello(struct cs_session *cs, struct cs_bytes rest, struct hello *hello)
{
    const uint8_t *body = rest.data;
    struct cs_bytes extensions;

    if (rest.length < 2 || body[0] > body[1])
        return CS_MALFORMED;
    if (body[0] > 1 || body[1] < 1)
        return CS_VERSION;
    if (rest.length < CALL_FIXED || !set_record_max(cs, load(body + 4, 4)))
        return CS_MALFORMED;
    rest.data += CALL_FIXED;
    rest.length -= CALL_FIXED;
    if (!take(&rest, 1, &hello->id) || !take(&rest, 1, &hello->audience)
        || !take(&rest, 2, &extensions) || rest.length > 0)
        return CS_MALFORMED;
    if (hello->id.length - 1 >= CS_NAME_MAX || hello->audience.length > CS_NAME_MAX)
        return CS_MALFORMED;
    hello->flags = body[3] & (RECORDS_OFFERED | RECORDS_REQUIRED);
    hello->suites.data = NULL;
    hello->suites.length = 0;
    if (hello->flags == RECORDS_REQUIRED || !read_extensions(extensions, &hello->suites))
        return CS_MALFORMED;
    if (hello->suites.data != NULL && (hello->flags == 0 || !are_suites(&hello->suites)))
        return CS_MALFORMED;
    if (memcmp(body + 40, cs->config->instance, CS_INSTANCE) == 0)
        return CS_REFLECTED;
    return CS_OK;
}

#ifdef CS_SEAL
static int offers_our_suite(const struct hello *hello)
{
    size_t i;

    for (i = 0; hello->suites.data != NULL && i < hello->suites.length; i++) {
        if (hello->suites.data[i] == CHACHA20_POLY1305)
            return 1;
    }
    return 0;
}
#endif

/* Chooses whether messages travel in records. */
static enum cs_error choose(struct cs_session *cs, const struct hello *hello)
{
    cs->has_records = hello->flags & RECORDS_OFFERED;
    switch (cs->config->records) {
    case CS_ALLOWED:
        return CS_OK;
    case CS_OFF:
        cs->has_records = 0;
        return hello->flags & RECORDS_REQUIRED ? CS_PROTECTION : CS_OK;
#ifdef CS_SEAL
    case CS_SEALED:
        return offers_our_suite(hello) ? CS_OK : CS_PROTECTION;
#endif
    default:
        return cs->has_records ? CS_OK : CS_PROTECTION;
    }
}

static int is_name(const struct cs_bytes *one, const struct cs_bytes *other)
{
    return one->length == other->length
        && (one->length == 0 || memcmp(one->data, other->data, one->length) == 0);
}

/* The key that a client names. Whether there is one shows in nothing that is sent. */
static const uint8_t *find_key(struct cs_session *cs, const struct hello *hello)
{
    const struct cs_key *key = cs->config->keys;
    size_t i;

    for (i = 0; i < cs->config->key_count; i++, key++) {
        if (is_name(&key->id, &hello->id) && is_name(&key->audience, &hello->audience))
            cs->key = key;
    }
    return cs->key != NULL ? cs->key->prk : cs->config->decoy;
}

/* Appends our hello, without the proof. Returns it. */
static struct cs_bytes append_answer(struct cs_session *cs)
{
    struct cs_bytes answer = { cs->out + cs->used, HEADER + ANSWER_FIXED };
    uint8_t *hello = cs->out + cs->used + HEADER;

    store32(hello, 0x01000000 | cs->has_records);
    store32(hello + 4, our_record_max(cs));
    memcpy(hello + 8, cs->config->instance, CS_INSTANCE);
    hello[24] = hello[25] = 0;
#ifdef CS_SEAL
    if (seals(cs)) {
        hello[25] = sizeof SEALING;
        memcpy(hello + ANSWER_FIXED, SEALING, sizeof SEALING);
        answer.length += sizeof SEALING;
    }
#endif
    put_header(cs->out + cs->used, ANSWER, (uint32_t)(answer.length - HEADER + PROOF));
    cs->used += answer.length;
    return answer;
}

/* The client's call has arrived: we prove that we hold the key that it names. */
static enum cs_event receive_call(struct cs_session *cs, size_t length)
{
    struct cs_bytes call = { cs->in, length }, answer;
    struct cs_bytes body = { cs->in + sizeof MAGIC + HEADER, length - sizeof MAGIC - HEADER };
    struct hello hello;
    struct secrets secrets;
    enum cs_error error = read_hello(cs, body, &hello);

    if (error == CS_OK)
        error = choose(cs, &hello);
    if (error != CS_OK)
        return fail(cs, error);
    append(cs, cs->nonce, sizeof cs->nonce);
    answer = append_answer(cs);
    transcript(secrets.seen, cs->nonce, &call, &answer);
    derive(cs, find_key(cs, &hello), &secrets, &cs->ours, &cs->theirs);
    append(cs, secrets.seen + 32, PROOF);
    memcpy(cs->nonce, secrets.client_proof, PROOF);
    cs_wipe(&secrets, sizeof secrets);
    cs->state = CONFIRM_DUE;
    return CS_WAIT;
}

/* The client's proof has arrived. */
static enum cs_event receive_confirm(struct cs_session *cs)
{
    static const uint8_t status = 0;
    int is_right = equal(cs->nonce, cs->in + HEADER, PROOF);

    if (!is_right || cs->key == NULL)
        return fail(cs, cs->key == NULL ? CS_NO_KEY : CS_BAD_PROOF);
    append_record(cs, ACCEPT, &status, 1);
#ifdef CS_SEAL
    if (seals(cs)) {
        start_sealing(&cs->ours);
        start_sealing(&cs->theirs);
    }
#endif
    cs->state = established(cs);
    return CS_OPEN;
}

#endif

/* The dialect raw. */

#ifdef CS_RAW

/* The answer to a challenge. A key of any length will do. */
static void answer_challenge(const struct cs_key *key, const uint8_t challenge[32],
                             uint8_t proof[PROOF])
{
    struct cs_sha256 hash;
    struct cs_hmac hmac;
    uint8_t digest[32];
    struct cs_bytes secret = key->secret;

    if (secret.length > 64) {
        cs_sha256_init(&hash);
        cs_sha256_update(&hash, secret.data, secret.length);
        cs_sha256_final(&hash, digest);
        secret.data = digest;
        secret.length = sizeof digest;
    }
    hmac_key(&hmac, secret.data, secret.length);
    hmac_begin(&hash, &hmac);
    cs_sha256_update(&hash, challenge, 32);
    hmac_end(&hash, &hmac, proof);
    cs_wipe(&hmac, sizeof hmac);
    cs_wipe(digest, sizeof digest);
}

#ifndef CS_NO_CLIENT

void cs_raw_client(struct cs_session *cs, const struct cs_config *config, uint8_t *in,
                   size_t in_size, uint8_t *out, size_t out_size)
{
    if (begin(cs, config, in, in_size, out, out_size))
        cs->state = CHALLENGE_DUE;
}

/* What looks like a challenge of Python's multiprocessing is not signed: it could be used there. */
static enum cs_event receive_challenge(struct cs_session *cs)
{
    if (memcmp(cs->in + 4, "#CHALLENGE#", 11) == 0)
        return fail(cs, CS_FOREIGN);
    cs->key = cs->config->keys;
    answer_challenge(cs->key, cs->in, cs->out + cs->used);
    cs->used += PROOF;
    cs->state = PLAIN;
    return CS_OPEN;
}

#endif

#ifndef CS_NO_SERVER

void cs_raw_server(struct cs_session *cs, const struct cs_config *config,
                   const uint8_t random[CS_RANDOM], uint8_t *in, size_t in_size, uint8_t *out,
                   size_t out_size)
{
    if (!begin(cs, config, in, in_size, out, out_size))
        return;
    cs->state = PROOF_DUE;
    memcpy(cs->nonce, random, CS_RANDOM);
    append(cs, random, CS_RANDOM);
}

/* All keys are tried, so that the time doesn't tell which one was right. */
static enum cs_event receive_proof(struct cs_session *cs)
{
    const struct cs_key *key = cs->config->keys;
    uint8_t proof[PROOF];
    size_t i;

    for (i = 0; i < cs->config->key_count; i++, key++) {
        answer_challenge(key, cs->nonce, proof);
        if (equal(proof, cs->in, PROOF))
            cs->key = key;
    }
    cs_wipe(proof, sizeof proof);
    if (cs->key == NULL)
        return fail(cs, CS_BAD_PROOF);
    cs->state = PLAIN;
    return CS_OPEN;
}

#endif

#endif

/* What arrives. */

/* Whether a batch is one or more messages, and nothing else. */
static int is_batch(struct cs_bytes rest)
{
    struct cs_bytes message;

    while (take(&rest, 3, &message)) {
        if (rest.length == 0)
            return 1;
    }
    return 0;
}

static enum cs_event next_message(struct cs_session *cs)
{
    take(&cs->batch, 3, &cs->message);
    return CS_MESSAGE;
}

static enum cs_event receive_record(struct cs_session *cs, size_t length)
{
    struct cs_bytes payload = { cs->in + HEADER, length - CS_RECORD_MORE };

    if (!verify_record(&cs->theirs, cs->in, length) || cs->is_closed)
        return fail(cs, CS_BAD_RECORD);
    switch (cs->in[0]) {
    case DATA:
        cs->message = payload;
        return CS_MESSAGE;
    case BATCH:
        if (!is_batch(payload))
            return fail(cs, CS_BAD_RECORD);
        cs->batch = payload;
        return next_message(cs);
    case PING:
        if (!cs->is_finished)
            append_record(cs, PONG, payload.data, payload.length);
        return CS_WAIT;
    case PONG:
        return CS_WAIT;
    default:
        cs->is_closed = 1;
        return CS_CLOSED;
    }
}

/* Takes a complete frame. */
static enum cs_event receive_frame(struct cs_session *cs, size_t length)
{
    switch (cs->state) {
#ifndef CS_NO_SERVER
    case CALL_DUE:
        return receive_call(cs, length);
    case CONFIRM_DUE:
        return receive_confirm(cs);
#endif
#ifndef CS_NO_CLIENT
    case ANSWER_DUE:
        if (cs->in[CS_RANDOM] == REFUSAL)
            return receive_refusal(cs, length);
        return receive_answer(cs, length);
    case ACCEPT_DUE:
        if (cs->in[0] == REFUSAL)
            return receive_refusal(cs, length);
        return receive_accept(cs, length);
#endif
#if defined(CS_RAW) && !defined(CS_NO_SERVER)
    case PROOF_DUE:
        return receive_proof(cs);
#endif
#if defined(CS_RAW) && !defined(CS_NO_CLIENT)
    case CHALLENGE_DUE:
        return receive_challenge(cs);
#endif
    default:
        return receive_record(cs, length);
    }
}

/* The bytes of a frame up to the end of its header. */
static size_t front(const struct cs_session *cs)
{
    switch (cs->state) {
    case CALL_DUE:
        return sizeof MAGIC + HEADER;
    case ANSWER_DUE:
        return CS_RANDOM + HEADER;
    case PROOF_DUE:
    case CHALLENGE_DUE:
        return CS_RANDOM;
    default:
        return HEADER;
    }
}

/* Whether a record with this header may come. */
static int is_record(uint8_t type, uint32_t length)
{
    switch (type) {
    case DATA:
        return length >= TAG;
    case BATCH:
        return length >= 3 + TAG;
    case PING:
    case PONG:
        return length >= TAG && length <= PING_MAX + TAG;
    default:
        return type == CLOSE && length == TAG;
    }
}

/* Whether a frame with this header is due. All lengths are checked before the body is awaited. */
static int is_due(const struct cs_session *cs, uint8_t type, uint32_t length)
{
    int is_refusal = type == REFUSAL && length == 1;

    switch (cs->state) {
    case CALL_DUE:
        return type == HELLO && length <= CALL_MAX - sizeof MAGIC - HEADER;
    case CONFIRM_DUE:
        return type == CONFIRM && length == PROOF;
    case ANSWER_DUE:
        return is_refusal || (type == ANSWER && length >= PROOF && length <= ANSWER_MAX - HEADER);
    case ACCEPT_DUE:
        return is_refusal || (type == ACCEPT && length == 1 + TAG);
    default:
        return is_record(type, length);
    }
}

/* Finds out how long the frame is whose header has arrived. Returns whether it may come. */
static int read_header(struct cs_session *cs)
{
    const uint8_t *header = cs->in + cs->have - HEADER;
    uint32_t length = load(header + 1, 3);

    cs->need = cs->have;
    if (cs->state == PROOF_DUE || cs->state == CHALLENGE_DUE)
        return 1;
    if (!is_due(cs, header[0], length)) {
        fail(cs, cs->state == RECORDS ? CS_BAD_RECORD : CS_MALFORMED);
        return 0;
    }
    if (length > cs->in_size - cs->have) {
        fail(cs, CS_TOO_LONG);
        return 0;
    }
    cs->need += length;
    return 1;
}

/* Collects a frame up to this length. Returns whether it is there. */
static int collect(struct cs_session *cs, struct cs_bytes *input, size_t length)
{
    size_t n = length - cs->have;

    if (n > input->length)
        n = input->length;
    if (n > 0)
        memcpy(cs->in + cs->have, input->data, n);
    cs->have += n;
    input->data += n;
    input->length -= n;
    return cs->have == length;
}

/* A peer that begins differently speaks another protocol, and is told nothing. */
static int is_foreign(const struct cs_session *cs)
{
    size_t n = cs->have < sizeof MAGIC ? cs->have : sizeof MAGIC;

    return cs->state == CALL_DUE && memcmp(cs->in, MAGIC, n) != 0;
}

/* Collects the next frame. Returns whether it is complete. */
static int collect_frame(struct cs_session *cs, struct cs_bytes *input)
{
    int has_front = cs->need > 0 || collect(cs, input, front(cs));

    if (is_foreign(cs)) {
        fail(cs, CS_FOREIGN);
        return 0;
    }
    return has_front && (cs->need > 0 || read_header(cs)) && collect(cs, input, cs->need);
}

enum cs_event cs_input(struct cs_session *cs, struct cs_bytes *input)
{
    enum cs_event event = CS_WAIT;
    size_t length;

    while (event == CS_WAIT) {
        if (cs->batch.length > 0)
            return next_message(cs);
        if (cs->state == PLAIN) {
            cs->message = *input;
            input->data += input->length;
            input->length = 0;
            return cs->message.length > 0 ? CS_MESSAGE : CS_WAIT;
        }
        if (cs->state == FAILED)
            return CS_FAILED;
        if (!collect_frame(cs, input))
            return cs->state == FAILED ? CS_FAILED : CS_WAIT;
        if (room(cs) < REPLY_MAX)
            return CS_FULL;
        length = cs->need;
        event = receive_frame(cs, length);
        cs->have = cs->need = 0;
    }
    return event;
}

enum cs_event cs_ended(struct cs_session *cs)
{
    if (cs->state == FAILED)
        return CS_FAILED;
    return cs->state == PLAIN || cs->is_closed ? CS_CLOSED : fail(cs, CS_TRUNCATED);
}

/* What is sent. */

static int may_send(const struct cs_session *cs)
{
    return cs->state >= ACCEPT_DUE && !cs->is_finished;
}

/* Whether the record that was begun may take one more message of this length. */
static int may_join(const struct cs_session *cs, size_t length)
{
    uint32_t most = cs->record_max < BATCH_MAX ? cs->record_max : BATCH_MAX;
    size_t more = cs->joined > 1 ? 3 : 6;

    return cs->joined > 0 && cs->used - cs->begun - HEADER + more + length + TAG <= most;
}

/* Makes room for the length before the first message, which was not in a batch so far. */
static void begin_batch(struct cs_session *cs)
{
    uint8_t *message = cs->out + cs->begun + HEADER;
    size_t length = cs->used - cs->begun - HEADER, left = length, n;

    /* From the back, in pieces that don't overlap. */
    for (; left > 0; left -= n) {
        n = left < 3 ? left : 3;
        memcpy(message + 3 + left - n, message + left - n, n);
    }
    put_header(message - 1, 0, (uint32_t)length);
    cs->used += 3;
}

enum cs_error cs_send(struct cs_session *cs, const void *message, size_t length)
{
    int joins = may_join(cs, length);
    size_t more = !cs->has_records ? 0 : joins ? 6 : CS_RECORD_MORE;

    if (!may_send(cs))
        return CS_NOT_OPEN;
    if (cs->has_records && length > cs->record_max - TAG)
        return CS_TOO_LONG;
    if (room(cs) < more || room(cs) - more < length)
        return CS_NO_ROOM;
    if (joins) {
        if (cs->joined == 1)
            begin_batch(cs);
        put_header(cs->out + cs->used - 1, cs->out[cs->used - 1], (uint32_t)length);
        cs->used += 3;
    } else if (cs->has_records) {
        end_record(cs);
        cs->begun = cs->used;
        cs->used += HEADER;
    }
    append(cs, message, length);
    cs->joined += cs->has_records;
    return CS_OK;
}

enum cs_error cs_finish(struct cs_session *cs)
{
    if (!may_send(cs))
        return CS_OK;
    if (cs->has_records && room(cs) < CS_RECORD_MORE)
        return CS_NO_ROOM;
    if (cs->has_records)
        append_record(cs, CLOSE, NULL, 0);
    cs->is_finished = 1;
    return CS_OK;
}

struct cs_bytes cs_output(struct cs_session *cs)
{
    struct cs_bytes output;

    end_record(cs);
    /* After a failure, the keys are needed no more. */
    if (cs->state == FAILED)
        cs_wipe(&cs->ours, sizeof *cs - offsetof(struct cs_session, ours));
    output.data = cs->out;
    output.length = cs->used;
    cs->used = 0;
    return output;
}

/* What is derived from a session, and what a session is derived from. */

void cs_secret(const struct cs_session *cs, const void *label, size_t length, uint8_t secret[32])
{
    struct cs_sha256 hash;
    struct cs_hmac hmac;

    hmac_key(&hmac, cs->exporter, sizeof cs->exporter);
    hmac_begin(&hash, &hmac);
    cs_sha256_update(&hash, (const uint8_t *)label, length);
    hmac_end(&hash, &hmac, secret);
    cs_wipe(&hmac, sizeof hmac);
}

/* HKDF-Extract. */
void cs_key_init(struct cs_key *key)
{
    static const uint8_t salt[17] = "countersign/1 psk";
    struct cs_sha256 hash;
    struct cs_hmac hmac;

    hmac_key(&hmac, salt, sizeof salt);
    hmac_begin(&hash, &hmac);
    cs_sha256_update(&hash, key->secret.data, key->secret.length);
    hmac_end(&hash, &hmac, key->prk);
    cs_wipe(&hmac, sizeof hmac);
}
