/*
 * countersign: mutual authentication with a shared key, and messages that nobody can change.
 *
 * This is the protocol countersign/1 for machines with little memory: client and server, records
 * and batches. It moves no bytes, reads no clock and draws no random numbers: you do that. It
 * allocates nothing, has no global state, and calls memcpy, memset and memcmp alone.
 *
 * One connection is one `struct cs_session`:
 *
 *   1. Begin it with cs_client() or cs_server(). You give it 32 fresh random bytes and two buffers.
 *   2. Give everything that arrives to cs_input(), until it answers CS_WAIT. It tells you when the
 *      handshake is over (CS_OPEN), and hands you each message (CS_MESSAGE).
 *   3. From CS_OPEN on, cs_send() messages.
 *   4. After each of these calls, send what cs_output() gives you.
 *
 * Sessions share nothing but their configuration, which none of them changes: each may have a
 * thread of its own, but not two.
 *
 * Bounds that you set: a deadline for the handshake (5 seconds at a server, 10 at a client; more on
 * a slow radio), and one for an idle connection. When one has passed, a server calls cs_refuse();
 * then close the connection.
 *
 * The protocol itself: src/manual/protocol.md in the repository of countersign.
 *
 * Licensed under MIT or Apache-2.0, at your option.
 */
#ifndef COUNTERSIGN_H
#define COUNTERSIGN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What is built. Give the same macros to countersign.c and to every file that includes this one.
 *
 *   CS_NO_CLIENT   leaves out the client.
 *   CS_NO_SERVER   leaves out the server.
 *   CS_RAW         adds the dialect `raw`: 32 random bytes from the server, their HMAC from the
 *                  client, and then plain bytes that nothing protects.
 *   CS_SEAL        adds sealed records: messages are also encrypted, with ChaCha20-Poly1305.
 *   CS_SHA256_PORT the name of a header, with its quotation marks, that brings another SHA-256:
 *                  that of a hardware unit, of mbedTLS or of PSA. See ports/.
 */

/* The smallest buffers. A longer message needs its own length and 20 bytes in both directions. */
#define CS_OUTPUT_MIN 256  /* For what is sent: the longest part of a handshake, a pong, a close. */
#define CS_CLIENT_MIN 145  /* For what a client receives: the answer of a server, a ping. */
#define CS_SERVER_MIN 512  /* For what a server receives: the longest call of a client. */

/* What a record adds to a message. */
#define CS_RECORD_MORE 20

/* The lengths of what you provide. */
#define CS_RANDOM 32
#define CS_INSTANCE 16

/* The longest key id, and the longest audience. */
#define CS_NAME_MAX 64

/* Bytes that belong to somebody else. */
struct cs_bytes {
    const uint8_t *data;
    size_t length;
};

/* The same, of a string literal; for initializers. */
#define CS_TEXT(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

/*
 * A key that both ends share. Set the first three fields, then call cs_key_init() once.
 *
 * Give each pair of ends its own key: whoever holds a key can be either end of it. A server that
 * offers several audiences to one key lists the key once for each.
 */
struct cs_key {
    struct cs_bytes id;       /* Which key it is: 1 to 64 bytes. Visible on the network. */
    struct cs_bytes audience; /* Which service is meant: 0 to 64 bytes, the same at both ends. */
    struct cs_bytes secret;   /* The key itself: 16 bytes or more, best 32 random ones. After
                                 cs_key_init() it is needed for `raw` alone. */
    uint8_t prk[32];          /* Derived from the secret by cs_key_init(), and as secret as it. */
};

/* How messages travel after the handshake of countersign/1. */
enum cs_records {
    CS_REQUIRED, /* In records, or the handshake fails. The default, and what a server expects. */
    CS_ALLOWED,  /* In records if the other end agrees; without them nothing is protected. */
    CS_OFF,      /* As plain bytes. */
#ifdef CS_SEAL
    CS_SEALED /* In records that are encrypted, or the handshake fails. */
#endif
};

/* What a client offers, or what a server accepts. Sessions share it; it must outlive them. */
struct cs_config {
    const struct cs_key *keys; /* A client's key, or all keys of a server. */
    size_t key_count;          /* How many keys there are: 1 at a client. */
    enum cs_records records;   /* How messages travel. */
    uint8_t instance[CS_INSTANCE]; /* Random bytes, drawn when the program starts. They keep it
                                      from talking to itself by mistake. */
    uint8_t decoy[32]; /* At a server, more of them: a key for clients whose own is unknown, so that
                          nobody can find out which key ids there are. */
};

/* What cs_input() has found. */
enum cs_event {
    CS_WAIT,    /* All of the input was taken. Give it more when more has arrived. */
    CS_OPEN,    /* The handshake is over: the other end holds the key. Messages may be sent. */
    CS_MESSAGE, /* A message has arrived: see `message`. */
    CS_CLOSED,  /* The other end sends no more messages. Send what is due, call cs_finish(), send
                   the output, and close the connection. */
    CS_FULL,    /* There is no room to answer. Send what cs_output() gives you, then call again with
                   the rest of the input. */
    CS_FAILED   /* See `error`. Send what cs_output() gives you, and close the connection. */
};

/* Why a session has failed, or why a message can't be sent. */
enum cs_error {
    CS_OK,
    CS_NO_ROOM,    /* cs_send(): first send what cs_output() gives you. If that is nothing, or if a
                      session has failed, a buffer is too small. */
    CS_TOO_LONG,   /* A message is longer than its receiver accepts. */
    CS_NOT_OPEN,   /* cs_send(): the handshake is not over, or the session has ended. */
    CS_FOREIGN,    /* The other end speaks another protocol. */
    CS_REFLECTED,  /* The other end is this end itself. */
    CS_BAD_PROOF,  /* The other end does not hold the key. */
    CS_NO_KEY,     /* At a server: there is no key with this id and audience. */
    CS_PROTECTION, /* The ends don't agree on records, or on sealing them. */
    CS_VERSION,    /* They have no version in common. */
    CS_MALFORMED,  /* A part of the handshake is malformed. */
    CS_BAD_RECORD, /* A record is malformed, or not the next one: it was forged or repeated. */
    CS_TRUNCATED,  /* The stream ended where more was due, so messages may be missing. */
    CS_REFUSED     /* The other end refuses: see `refusal`. Anybody on the network could have sent
                      that: don't retry with less protection. */
};

/* The reasons of a refusal, as they travel. */
enum cs_refusal {
    CS_REFUSE_VERSION = 1,   /* No version in common. */
    CS_REFUSE_KEY = 2,       /* The key, the audience or the protection: which one is not told. */
    CS_REFUSE_BUSY = 3,      /* Busy, or about to stop: try again later. */
    CS_REFUSE_MALFORMED = 4, /* A part of the handshake is malformed. */
    CS_REFUSE_TIMEOUT = 5    /* The handshake took too long. */
};

/* A key for HMAC-SHA256, prepared. */
struct cs_hmac {
#ifdef CS_SHA256_PORT
    uint8_t block[64]; /* The key, padded with zeros. */
#else
    uint32_t inner[8]; /* The state of the inner hash, with its pad absorbed. */
    uint32_t outer[8]; /* The same of the outer hash. */
#endif
};

/* What protects the records of one direction. */
struct cs_direction {
    union {
        struct cs_hmac hmac;  /* For records with tags. */
        uint8_t sealing[32];  /* For sealed records. */
    } key;
    uint64_t number;          /* The number of the next record, which is not sent. */
    uint8_t is_sealed;        /* Which of the keys it is. */
};

/*
 * One connection.
 *
 * Read the first four fields after an event. The others are not for you.
 */
struct cs_session {
    struct cs_bytes message;  /* With CS_MESSAGE: the message, until the next call. Without records:
                                 a piece of the stream, whatever the input has. */
    const struct cs_key *key; /* From CS_OPEN on: the key that the other end holds. */
    enum cs_error error;      /* With CS_FAILED: why. */
    uint8_t refusal;          /* With CS_REFUSED: the reason, one of cs_refusal or a new one. */

    uint8_t state;            /* How far the session has come. */
    uint8_t has_records;      /* The server has chosen records. */
    uint8_t is_finished;      /* We have sent our close record. */
    uint8_t is_closed;        /* The other end has sent its own. */
    const struct cs_config *config; /* What was given to cs_client() or cs_server(). */
    uint8_t *in;              /* The frame that is arriving. */
    size_t in_size;           /* The size of that buffer. */
    size_t have;              /* How many bytes of the frame have arrived. */
    size_t need;              /* How long it is, if its header has arrived; otherwise 0. */
    struct cs_bytes batch;    /* The messages of a verified batch that were not returned yet. */
    uint8_t *out;             /* What is to be sent. */
    size_t out_size;          /* The size of that buffer. */
    size_t used;              /* How many bytes of it are in use. */
    size_t begun;             /* Where the record begins that more messages may join. */
    uint32_t joined;          /* How many messages it has: 0 if there is no such record. */
    uint32_t record_max;      /* The longest record that the other end accepts. */
    struct cs_direction ours;   /* What protects what we send. */
    struct cs_direction theirs; /* What protects what we receive. */
    uint8_t nonce[32];        /* Our random bytes; at a server, then the proof that is due. */
    uint8_t exporter[32];     /* The secret from which cs_secret() derives others. */
};

/* Prepares a key: once, when the program starts, or to store the result in place of the secret. */
void cs_key_init(struct cs_key *key);

#ifndef CS_NO_CLIENT
/*
 * Begins a session as a client. Connect, then send what cs_output() gives you.
 *
 * `random` are 32 bytes that nobody can predict and that were never used before. `in` and `out` are
 * the buffers for what is received and sent, of CS_CLIENT_MIN and CS_OUTPUT_MIN bytes or more; with
 * less, the session has failed (CS_NO_ROOM). It uses `in` to its end. It uses `out` only until you
 * have sent what cs_output() gave you, so sessions that take turns can share it.
 *
 * The other end is told that it may send records of 1,024 bytes, or of as many as `in` can hold.
 * With less than 1,028 bytes for `in`, longer records than it can hold end the session: then know
 * what the other end sends, and remember that messages which it sends together share a record.
 */
void cs_client(struct cs_session *cs, const struct cs_config *config,
               const uint8_t random[CS_RANDOM], uint8_t *in, size_t in_size, uint8_t *out,
               size_t out_size);
#endif

#ifndef CS_NO_SERVER
/*
 * Begins a session as a server, for a connection that was accepted. As cs_client(), with
 * CS_SERVER_MIN bytes or more for `in`: with less, clients whose calls are longer are refused.
 */
void cs_server(struct cs_session *cs, const struct cs_config *config,
               const uint8_t random[CS_RANDOM], uint8_t *in, size_t in_size, uint8_t *out,
               size_t out_size);

/*
 * Ends a handshake that is not over, because the server is busy or because the deadline has passed.
 * Send what cs_output() gives you, and close the connection.
 */
void cs_refuse(struct cs_session *cs, enum cs_refusal why);
#endif

#if defined(CS_RAW) && !defined(CS_NO_CLIENT)
/* The same as cs_client(), in the dialect `raw`. It needs no random bytes. */
void cs_raw_client(struct cs_session *cs, const struct cs_config *config, uint8_t *in,
                   size_t in_size, uint8_t *out, size_t out_size);
#endif

#if defined(CS_RAW) && !defined(CS_NO_SERVER)
/* The same as cs_server(), in the dialect `raw`. All keys are tried, so have few: at most eight. */
void cs_raw_server(struct cs_session *cs, const struct cs_config *config,
                   const uint8_t random[CS_RANDOM], uint8_t *in, size_t in_size, uint8_t *out,
                   size_t out_size);
#endif

/*
 * Takes from the front of the input, and says what it has found. `input` is what is left of it.
 *
 * Call it until it returns CS_WAIT, and send what cs_output() gives you after each call.
 */
enum cs_event cs_input(struct cs_session *cs, struct cs_bytes *input);

/*
 * What is to be sent now: send all of it before the next call for this session.
 *
 * The bytes are in the buffer `out`. If the network takes only a part of them, keep the rest where
 * it is, and call nothing until it was sent: so a slow receiver slows down the whole conversation,
 * and takes no memory.
 */
struct cs_bytes cs_output(struct cs_session *cs);

/*
 * Sends a message. Messages that are sent without a cs_output() between them share one record,
 * which is shorter and costs less at both ends.
 *
 * Returns CS_OK, or CS_NO_ROOM, CS_TOO_LONG or CS_NOT_OPEN, and then the session is as before.
 * Without records, the bytes are sent as they are.
 */
enum cs_error cs_send(struct cs_session *cs, const void *message, size_t length);

/*
 * Says that no message follows. Send the output, then end your stream. What the other end still
 * sends is received as before. Returns CS_OK or CS_NO_ROOM.
 */
enum cs_error cs_finish(struct cs_session *cs);

/*
 * Tells the session that the other end has ended its stream, and returns CS_CLOSED if it has said
 * so before. Otherwise it returns CS_FAILED, because messages may be missing.
 *
 * Without records it can't know, and returns CS_CLOSED: your framing tells whether a message was
 * cut. A connection that was reset or lost has not ended its stream: messages may be missing, so
 * don't ask. And if you give up within a message, reset the connection: the other end might take
 * the part that you have sent for the whole.
 */
enum cs_event cs_ended(struct cs_session *cs);

/*
 * Derives a secret that only the two ends of this session share, from CS_OPEN on: to encrypt a
 * file, say, or to bind another protocol to it. Both ends derive the same one from the same label.
 */
void cs_secret(const struct cs_session *cs, const void *label, size_t length, uint8_t secret[32]);

/* Overwrites memory that held secrets. Call it for a session that is over, and for a key. */
void cs_wipe(void *memory, size_t length);

#ifdef __cplusplus
}
#endif

#endif
