/*
 * countersign for hosts in C and C++: a server that runs inside your own poll loop, and its client.
 *
 * A server in ten lines, but for the tests for errors (a complete one is in examples/):
 *
 *     cs_keys_from_file("keys", &keys, &why);
 *     cs_session_config_new(&config, &why);
 *     cs_session_config_set_keys(config, keys, &why);
 *     cs_listener_new(config, &listener, &why);
 *     cs_listener_add_address(listener, "127.0.0.1:9527", &why);
 *     struct cs_service service = { .size = sizeof service, .message = on_message };
 *     const struct cs_listener *listeners[] = { listener };
 *     cs_server_new(listeners, 1, &service, &server, &why);
 *     struct pollfd poller = { cs_server_fd(server), POLLIN, 0 };
 *     while (poll(&poller, 1, cs_server_deadline(server)) >= 0 || errno == EINTR)
 *         cs_server_turn(server, 0, &why);
 *
 * Rules that hold for all functions, where one doesn't say otherwise:
 *
 *   - NULL is an error (CS_ERR_ARGUMENT) and nothing worse, but for `why`, where it is allowed.
 *   - Each object is a pointer to something that only the library knows. You own what a function
 *     hands you through a `**`, and free it with the function of its name that ends in _free(),
 *     once, when nobody uses it. What you pass by a pointer to const, or as data, is read during
 *     the call and not kept.
 *   - Texts are UTF-8 and end with a NUL. Data is a pointer and a length in bytes, and may be NULL
 *     if the length is 0.
 *   - A struct that begins with `size` must have its sizeof there: a later version of the library
 *     may know more fields.
 *   - An object may be used by any thread, but by one at a time. A cs_handle may be used by several
 *     at once. Objects share nothing, but for the log.
 *   - Functions return a cs_status, and say in `why` what has failed, in words. No function ends
 *     the process. A bug in the library is reported on stderr and ends no host (CS_ERR_PANICKED),
 *     unless the library was built to abort at once (Cargo's panic = "abort").
 *   - SIGPIPE is never raised for what the library writes. It changes no signal handler, no umask
 *     and no working directory, and starts no thread.
 *
 * Names begin with cs_ or CS_, as those of countersign.h do, which is the bare protocol for small
 * machines (clients/c). No name is in both, so a program may use both; there, `cs_server` and
 * `cs_client` are functions and here they are structs, so always write `struct cs_server`.
 *
 * This file is generated from the sources of the library: don't edit it.
 *
 * Licensed under MIT or Apache-2.0, at your option.
 */

#ifndef COUNTERSIGN_HOST_H
#define COUNTERSIGN_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * For a time: never.
 */
#define CS_NEVER UINT64_MAX

/**
 * For a listener: all of them together.
 */
#define CS_ALL_LISTENERS 65535

/**
 * What a call returns. Zero is success.
 */
enum cs_status {
    /**
     * The call has succeeded.
     */
    CS_ERR_NONE = 0,
    /**
     * An argument is NULL that must not be, or out of range, or not a text in UTF-8, or a word
     * that isn't known.
     */
    CS_ERR_ARGUMENT,
    /**
     * The object is in use: it was called from one of its own callbacks, or by two threads at
     * once. Nothing was done.
     */
    CS_ERR_REENTRANT,
    /**
     * There is a bug in the library. The object is out of order: every call for it returns this
     * from now on, and all that can be done is to free it.
     */
    CS_ERR_PANICKED,
    /**
     * The operating system refuses: see `os_error`.
     */
    CS_ERR_SYSTEM,
    /**
     * The options can't be combined.
     */
    CS_ERR_CONFIG,
    /**
     * The keys can't be read, or a key can't be added.
     */
    CS_ERR_KEYS,
    /**
     * There is no key that can be used now.
     */
    CS_ERR_NO_KEY,
    /**
     * The address isn't one, or can't be resolved, or can't be bound.
     */
    CS_ERR_ADDRESS,
    /**
     * The connection, or the server, is gone.
     */
    CS_ERR_GONE,
    /**
     * The peer has not yet taken what was sent before. Try again later.
     */
    CS_ERR_FULL,
    /**
     * The message is longer than the limit, or than the other end accepts.
     */
    CS_ERR_TOO_LONG,
    /**
     * The framing can't carry such a message: a line with a line feed inside.
     */
    CS_ERR_UNSENDABLE,
    /**
     * Nothing has arrived in time.
     */
    CS_ERR_TIMEOUT,
    /**
     * The other end has ended the stream in order. No message follows.
     */
    CS_ERR_ENDED,
    /**
     * The connection was closed, or has failed before, or is not open yet.
     */
    CS_ERR_CLOSED,
    /**
     * The other end did not prove that it holds the key. Don't trust it.
     */
    CS_ERR_UNPROVEN,
    /**
     * The other end refuses this one. Anybody on the network could have sent that, so don't retry
     * with less protection.
     */
    CS_ERR_REFUSED,
    /**
     * The other end has violated the protocol, or speaks another one.
     */
    CS_ERR_PROTOCOL,
    /**
     * The library was built without this.
     */
    CS_ERR_UNSUPPORTED,
};

/**
 * What cs_connection_process() has found.
 */
enum cs_input_event {
    /**
     * All of the input was taken. Give it more when more has arrived.
     */
    CS_INPUT_WAIT = 0,
    /**
     * The handshake is over. Messages may be sent.
     */
    CS_INPUT_OPEN,
    /**
     * A message has arrived: see cs_connection_message().
     */
    CS_INPUT_MESSAGE,
    /**
     * Something else has arrived, and was answered.
     */
    CS_INPUT_CONTROL,
    /**
     * The other end sends no more messages. Send what is due, call cs_connection_finish(), send
     * the output, and close the socket.
     */
    CS_INPUT_FINISHED,
    /**
     * Nothing follows that this connection is for. Send the output, and close the socket.
     */
    CS_INPUT_END,
};

/**
 * How important a line of the log is.
 */
enum cs_log_level {
    /**
     * For cs_log_to(): no lines.
     */
    CS_LOG_OFF = 0,
    /**
     * Something has failed.
     */
    CS_LOG_ERROR,
    /**
     * Something that somebody should look into.
     */
    CS_LOG_WARN,
    /**
     * What the server does.
     */
    CS_LOG_INFO,
    /**
     * What happens to each connection.
     */
    CS_LOG_DEBUG,
    /**
     * More than that.
     */
    CS_LOG_TRACE,
};

/**
 * A client: one connection that has gone through the handshake. By default its calls wait.
 *
 * It may be called by any thread, but only by one at a time: a call in between returns
 * CS_ERR_REENTRANT. After a failure other than CS_ERR_TIMEOUT, CS_ERR_TOO_LONG and
 * CS_ERR_UNSENDABLE, connect again.
 */
struct cs_client;

/**
 * The protocol of one connection, at either end, without a socket: you move the bytes.
 *
 * Give everything that arrives to cs_connection_process(), until it finds CS_INPUT_WAIT, and at
 * first nothing; then send what cs_connection_output() has. It may be called by one thread at a
 * time.
 */
struct cs_connection;

/**
 * Controls a server from other threads, and from its own callbacks. Every function for it may be
 * called by several threads at once, but for cs_handle_free().
 *
 * When the server is freed, they return CS_ERR_GONE.
 */
struct cs_handle;

/**
 * A ring of keys. What takes one copies it, so you may change it or free it afterwards.
 *
 * A ring and its copies are one end of countersign/1, which does not talk to itself: if a server
 * and its client are in one program, make a ring for each.
 */
struct cs_keys;

/**
 * Where and how a server listens: a description, from which cs_server_new() binds. It may make
 * several servers, and may be freed when they are made.
 */
struct cs_listener;

/**
 * The peer of a connection, in the function `opened`.
 */
struct cs_peer;

/**
 * Takes what a service sends to the peer, in one of its functions, and is valid until that
 * returns.
 *
 * Nothing is allocated, and nothing fails at once: a reply that is longer than the limit
 * `reply_max`, or that the framing can't carry, is discarded, and the connection is closed.
 */
struct cs_reply;

/**
 * A server: listeners, connections and a service, in the thread that calls it.
 *
 * It may be called by any thread, but only by one at a time, and not from its own callbacks: such
 * a call does nothing and returns CS_ERR_REENTRANT.
 */
struct cs_server;

/**
 * What is spoken on a connection, and with which keys: for a listener, a client or a connection of
 * yours. What takes one copies it, so you may change it or free it afterwards.
 */
struct cs_session_config;

/**
 * Why a call has failed, in words. A call that has one as its last argument fills it in when it
 * fails, and only then. NULL is allowed there.
 */
struct cs_failure {
    /**
     * The system's errno, or 0 if the system has nothing to do with it.
     */
    int os_error;
    /**
     * What has failed, and the remedy: for people, in English, in UTF-8. It never has a secret.
     */
    char message[508];
};

/**
 * The limits of a listener. Times are in milliseconds, and CS_NEVER is no limit.
 *
 * Set `size` to sizeof(struct cs_limits), call cs_limits_default(), then change what you want.
 * cs_stats.memory_max is what all of them together let the server use.
 */
struct cs_limits {
    /**
     * sizeof(struct cs_limits).
     */
    size_t size;
    /**
     * Connections at the same time. When there are this many, new ones wait in the system's queue.
     */
    uint64_t connections;
    /**
     * Unauthenticated connections at the same time. For a new one, the oldest is evicted.
     */
    uint64_t unauthenticated;
    /**
     * The same from one address (of IPv6, one /64 network).
     */
    uint64_t unauthenticated_per_address;
    /**
     * From accept until the peer has authenticated.
     */
    uint64_t handshake_timeout;
    /**
     * From one message until the next begins.
     */
    uint64_t idle_timeout;
    /**
     * From a message's first byte until its last.
     */
    uint64_t message_timeout;
    /**
     * How long the peer may read nothing while replies wait.
     */
    uint64_t write_timeout;
    /**
     * From authentication until the connection is closed, whatever it does.
     */
    uint64_t session_age_max;
    /**
     * From the beginning of draining until the remaining connections are closed.
     */
    uint64_t drain_timeout;
    /**
     * Bytes that a service may write in answer to one message, with their framing.
     */
    uint64_t reply_max;
    /**
     * Bytes that are read from a connection at once.
     */
    uint64_t read_max;
    /**
     * Bytes of replies at which they are sent, before more messages are answered.
     */
    uint64_t batch_max;
    /**
     * Bytes that all connections together may buffer of unfinished messages and unsent replies.
     */
    uint64_t buffered_max;
    /**
     * Failed proofs from one network that have no consequence.
     */
    uint64_t failure_burst;
    /**
     * While more failed proofs than this count, connections from the network are rejected.
     */
    uint64_t failure_limit;
    /**
     * How long a connection of a network with failed proofs is delayed.
     */
    uint64_t failure_delay;
    /**
     * How long a failed proof counts. 0 disables delays and rejections.
     */
    uint64_t failure_decay;
    /**
     * The networks whose failed proofs are remembered.
     */
    uint64_t failure_networks;
};

/**
 * What a server does with the messages of authenticated peers: functions of yours.
 *
 * The server calls them on the thread that calls it, one at a time, and copies this struct. `user`
 * is yours, and must be valid until the server is freed. A function that is NULL is not called;
 * only `message` is required.
 *
 * What they may call: the functions for their arguments, and every function for objects that are
 * not this server. A function for this server does nothing and returns CS_ERR_REENTRANT. To drain
 * it, to stop it or to replace its keys from here, use a cs_handle.
 *
 * They must return: neither longjmp() nor an exception of C++ may leave them.
 */
struct cs_service {
    /**
     * sizeof(struct cs_service).
     */
    size_t size;
    /**
     * Passed to each function.
     */
    void *user;
    /**
     * A peer has authenticated. What it returns is passed to the other functions as `connection`:
     * your state of the connection, or NULL. `peer` and `reply` are valid until it returns.
     */
    void *(*opened)(void *user, const struct cs_peer *peer, struct cs_reply *reply);
    /**
     * A message has arrived: `length` bytes, valid until it returns, as `reply` is.
     */
    void (*message)(void *user,
                    void *connection,
                    const uint8_t *message,
                    size_t length,
                    struct cs_reply *reply);
    /**
     * The peer has ended its stream. What is written to `reply` is the last.
     */
    void (*ended)(void *user, void *connection, struct cs_reply *reply);
    /**
     * A connection for which `opened` was called has ended: free your state of it. It is called
     * once for each, in cs_server_free() for those that are left. `reason` is a word such as
     * "finished" or "idle-timeout", valid until it returns; `is_refusal` says that the peer did
     * something that it must not do. `src/manual/operations.md` lists the reasons.
     */
    void (*closed)(void *user, void *connection, const char *reason, bool is_refusal);
    /**
     * After how many microseconds `wake` is to be called for this connection; negative is never.
     * It is called after `opened`, and after each `wake`.
     */
    int64_t (*wake_after)(void *user, void *connection);
    /**
     * That time has passed: `reply` takes what is no reply to a message. While the peer does not
     * read what was sent before, calls are left out.
     */
    void (*wake)(void *user, void *connection, struct cs_reply *reply);
};

/**
 * What a server, or one of its listeners, has done since it began and what it does now. Set `size`
 * to sizeof(struct cs_stats) before it is filled in.
 */
struct cs_stats {
    /**
     * sizeof(struct cs_stats).
     */
    size_t size;
    /**
     * Accepted connections.
     */
    uint64_t accepted;
    /**
     * Connections that were delayed because of failed proofs from their network.
     */
    uint64_t delayed;
    /**
     * Connections whose peer proved that it holds a key, or needed none.
     */
    uint64_t authenticated;
    /**
     * Connections that have ended. See cs_server_each_reason().
     */
    uint64_t closed;
    /**
     * Messages passed to the service.
     */
    uint64_t messages;
    /**
     * Bytes read.
     */
    uint64_t bytes_in;
    /**
     * Bytes written.
     */
    uint64_t bytes_out;
    /**
     * Times that accepting paused for lack of descriptors or memory.
     */
    uint64_t accept_pauses;
    /**
     * Accepts that failed for a reason that concerns only one connection.
     */
    uint64_t accept_failures;
    /**
     * Now: connections that wait for their challenge, because of failed proofs.
     */
    uint64_t now_delayed;
    /**
     * Now: connections in the handshake.
     */
    uint64_t now_handshake;
    /**
     * Now: authenticated connections.
     */
    uint64_t now_open;
    /**
     * Now: connections that are closing.
     */
    uint64_t now_closing;
    /**
     * The limit on connections.
     */
    uint64_t connections_max;
    /**
     * Now: bytes buffered for unfinished messages and unsent replies.
     */
    uint64_t buffered;
    /**
     * The limit on buffered bytes.
     */
    uint64_t buffered_max;
    /**
     * Now: networks whose new connections are delayed or rejected.
     */
    uint64_t throttled;
    /**
     * The most memory that the limits of all listeners allow, in bytes.
     */
    uint64_t memory_max;
};

/**
 * Takes a line of the log: a text with a NUL, without a line feed, valid until it returns.
 */
typedef void (*cs_log_callback)(void *user, enum cs_log_level level, const char *line);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library, such as "0.1.0": a constant.
 */
const char *cs_version(void);

/**
 * Reads a ring from a file or a pipe, which must belong to root or to the user of the process, and
 * which nobody else may read. `src/manual/operations.md` describes the format: one key a line, as
 * `countersign keygen` writes it.
 *
 * On success, *keys is yours to free. On failure, it is NULL.
 */
enum cs_status cs_keys_from_file(const char *path,
                                 struct cs_keys **keys,
                                 struct cs_failure *why);

/**
 * Reads a ring from memory: `length` bytes of the text that such a file has. The library keeps no
 * copy of the text; wipe it when you are done with it.
 *
 * On success, *keys is yours to free. On failure, it is NULL.
 */
enum cs_status cs_keys_from_text(const uint8_t *data,
                                 size_t length,
                                 struct cs_keys **keys,
                                 struct cs_failure *why);

/**
 * Makes a ring without keys, for cs_keys_add(). On success, *keys is yours to free.
 */
enum cs_status cs_keys_new(struct cs_keys **keys, struct cs_failure *why);

/**
 * Adds a key: its id, which is one printable word of at most 64 bytes, and `length` bytes of
 * secret: 16 or more, best 32 random ones. The library keeps no copy of the secret; wipe it when
 * you are done with it.
 *
 * `dialects` are the words of the dialects that it is for, separated by commas; NULL is
 * "countersign/1". `audience` is the only service that it is for; NULL is any.
 */
enum cs_status cs_keys_add(struct cs_keys *keys,
                           const char *id,
                           const uint8_t *secret,
                           size_t length,
                           const char *dialects,
                           const char *audience,
                           struct cs_failure *why);

/**
 * The number of keys. 0 for NULL.
 */
size_t cs_keys_count(const struct cs_keys *keys);

/**
 * Frees a ring. NULL is allowed.
 */
void cs_keys_free(struct cs_keys *keys);

/**
 * Makes a configuration for the dialect countersign/1, in which records are required, messages
 * are of at most 64 KiB, and a connection carries any number of them. Set its keys.
 *
 * On success, *config is yours to free.
 */
enum cs_status cs_session_config_new(struct cs_session_config **config,
                                     struct cs_failure *why);

/**
 * Sets the dialect: "countersign/1", "raw", "hex", "multiprocessing", or "open" for one without
 * authentication.
 */
enum cs_status cs_session_config_set_dialect(struct cs_session_config *config,
                                             const char *dialect,
                                             struct cs_failure *why);

/**
 * Sets the keys, which are copied.
 */
enum cs_status cs_session_config_set_keys(struct cs_session_config *config,
                                          const struct cs_keys *keys,
                                          struct cs_failure *why);

/**
 * Sets how messages are delimited where there are no records: "lines", "chunks" or "length".
 */
enum cs_status cs_session_config_set_framing(struct cs_session_config *config,
                                             const char *framing,
                                             struct cs_failure *why);

/**
 * Sets when messages of countersign/1 are protected: "sealed" (and encrypted), "required",
 * "allowed" or "off".
 */
enum cs_status cs_session_config_set_records(struct cs_session_config *config,
                                             const char *records,
                                             struct cs_failure *why);

/**
 * Sets the hash of the HMAC in "raw" and "hex": "sha256", or, if it was built in, "md5".
 */
enum cs_status cs_session_config_set_mac(struct cs_session_config *config,
                                         const char *mac,
                                         struct cs_failure *why);

/**
 * Sets how many messages a connection is for: "many", "once" or "verify-only".
 */
enum cs_status cs_session_config_set_exchange(struct cs_session_config *config,
                                              const char *exchange,
                                              struct cs_failure *why);

/**
 * Sets the longest message, in bytes, without its frame: 1 byte to 1 GiB.
 */
enum cs_status cs_session_config_set_message_max(struct cs_session_config *config,
                                                 size_t bytes,
                                                 struct cs_failure *why);

/**
 * Adds an audience, a name of at most 64 bytes, in countersign/1. A server serves clients that ask
 * for one of its audiences. A client asks for one; without it, for that of its key.
 */
enum cs_status cs_session_config_add_audience(struct cs_session_config *config,
                                              const char *audience,
                                              struct cs_failure *why);

/**
 * At a client, sets the id of the key to sign with. The default is the first that can be used.
 */
enum cs_status cs_session_config_set_key(struct cs_session_config *config,
                                         const char *id,
                                         struct cs_failure *why);

/**
 * At a server of countersign/1, sets whether clients of "raw" are served too, at the same port.
 * Give them keys of their own.
 */
enum cs_status cs_session_config_set_raw(struct cs_session_config *config,
                                         bool serves_raw,
                                         struct cs_failure *why);

/**
 * In "multiprocessing", sets whether the Pythons up to 3.11 of Red Hat's systems are served too,
 * which use SHA-256 without saying so where MD5 is forbidden.
 */
enum cs_status cs_session_config_set_rhel(struct cs_session_config *config,
                                          bool serves_rhel,
                                          struct cs_failure *why);

/**
 * Frees a configuration. NULL is allowed.
 */
void cs_session_config_free(struct cs_session_config *config);

/**
 * Sets all limits to their defaults, which suit a small machine. `size` must be set before.
 */
enum cs_status cs_limits_default(struct cs_limits *limits);

/**
 * Sets all limits to those of a machine with little memory: 64 connections in less than 256 KiB,
 * or 160 KiB if no message is longer than 4 KiB. `size` must be set before.
 */
enum cs_status cs_limits_small(struct cs_limits *limits);

/**
 * Makes a listener that speaks this, with the default limits. Say where it listens.
 *
 * On success, *listener is yours to free.
 */
enum cs_status cs_listener_new(const struct cs_session_config *config,
                               struct cs_listener **listener,
                               struct cs_failure *why);

/**
 * Adds an address: "127.0.0.1:9527", `[::]:9527`, "localhost:9527", or a Unix socket,
 * "unix:/run/garden.sock". Port 0 is any free port: see cs_server_address().
 */
enum cs_status cs_listener_add_address(struct cs_listener *listener,
                                       const char *address,
                                       struct cs_failure *why);

/**
 * Adds a socket that is bound and listening already: from a supervisor, or from before privileges
 * were dropped. The library duplicates the descriptor; yours stays yours to close.
 */
enum cs_status cs_listener_add_socket(struct cs_listener *listener,
                                      int descriptor,
                                      struct cs_failure *why);

/**
 * Sets the name, for the log and statistics. The default is the first address.
 */
enum cs_status cs_listener_set_name(struct cs_listener *listener,
                                    const char *name,
                                    struct cs_failure *why);

/**
 * Sets the limits.
 */
enum cs_status cs_listener_set_limits(struct cs_listener *listener,
                                      const struct cs_limits *limits,
                                      struct cs_failure *why);

/**
 * Sets which networks may connect: lists such as "10.0.0.0/8,2001:db8::/32,unix". `deny` beats
 * `allow`. NULL is a list of none, and then all may connect; an empty text is an error.
 */
enum cs_status cs_listener_set_access(struct cs_listener *listener,
                                      const char *allow,
                                      const char *deny,
                                      struct cs_failure *why);

/**
 * Sets the load balancers that all connections must come through: a list of networks. Each
 * connection then begins with a header of the PROXY protocol. With NULL, clients connect directly.
 */
enum cs_status cs_listener_set_proxies(struct cs_listener *listener,
                                       const char *from,
                                       struct cs_failure *why);

/**
 * Sets the mode of the files of Unix sockets: who may write to the file may connect. The default
 * is 0600.
 */
enum cs_status cs_listener_set_unix_mode(struct cs_listener *listener,
                                         uint32_t mode,
                                         struct cs_failure *why);

/**
 * Sets whether other sockets of the same user may listen at the same address and port
 * (SO_REUSEPORT). By default they may not.
 */
enum cs_status cs_listener_set_reuse_port(struct cs_listener *listener,
                                          bool reuses_port,
                                          struct cs_failure *why);

/**
 * Sets whether `[::]` accepts IPv6 only. By default it accepts IPv4 too.
 */
enum cs_status cs_listener_set_ipv6_only(struct cs_listener *listener,
                                         bool is_ipv6_only,
                                         struct cs_failure *why);

/**
 * Sets after how many milliseconds of silence the system probes whether a TCP peer is still there;
 * CS_NEVER is never. The default is a minute.
 */
enum cs_status cs_listener_set_keepalive(struct cs_listener *listener,
                                         uint64_t milliseconds,
                                         struct cs_failure *why);

/**
 * Frees a listener. NULL is allowed. Servers that were made from it are not touched.
 */
void cs_listener_free(struct cs_listener *listener);

/**
 * Names the connection, for cs_server_tell(). 0 is no connection.
 */
uint64_t cs_peer_id(const struct cs_peer *peer);

/**
 * The id of the key that the peer holds; NULL in the dialect "open". Valid as long as `peer`.
 */
const char *cs_peer_key(const struct cs_peer *peer);

/**
 * The peer's address, such as "192.0.2.7:40022", or "unix". Valid as long as `peer`.
 */
const char *cs_peer_address(const struct cs_peer *peer);

/**
 * The dialect of the connection, such as "countersign/1". Valid as long as `peer`.
 */
const char *cs_peer_dialect(const struct cs_peer *peer);

/**
 * The listener that the peer connected to: its place in the array of cs_server_new(), from 0.
 */
size_t cs_peer_listener(const struct cs_peer *peer);

/**
 * Whether messages are protected by records.
 */
bool cs_peer_is_protected(const struct cs_peer *peer);

/**
 * Whether messages are also encrypted.
 */
bool cs_peer_is_sealed(const struct cs_peer *peer);

/**
 * Derives the secret of this label, of 32 bytes, which only the two ends of this connection can
 * derive. CS_ERR_UNSUPPORTED unless the dialect is countersign/1.
 */
enum cs_status cs_peer_secret(const struct cs_peer *peer,
                              const char *label,
                              uint8_t *secret);

/**
 * Sends a message, or the last part of one that was begun with cs_reply_push().
 */
enum cs_status cs_reply_message(struct cs_reply *reply,
                                const uint8_t *message,
                                size_t length);

/**
 * Writes part of a message.
 */
enum cs_status cs_reply_push(struct cs_reply *reply, const uint8_t *part, size_t length);

/**
 * Ends a message that was begun with cs_reply_push(); the return of the function does so, too. If
 * none was begun, sends an empty one.
 */
enum cs_status cs_reply_end(struct cs_reply *reply);

/**
 * Closes the connection once everything that was written has been sent.
 */
enum cs_status cs_reply_close(struct cs_reply *reply);

/**
 * The time of day when the loop last woke up: milliseconds since 1970.
 */
uint64_t cs_reply_now(struct cs_reply *reply);

/**
 * Makes a server from an array of `count` listeners, and binds them: it accepts connections from
 * its first turn on. A listener is named by its place in the array, from 0.
 *
 * The array, the listeners and the struct `service` are only read, and may be freed afterwards;
 * what `service` points to is used until the server is freed. On success, *server is yours to
 * free. On failure, it is NULL.
 */
enum cs_status cs_server_new(const struct cs_listener *const *listeners,
                             size_t count,
                             const struct cs_service *service,
                             struct cs_server **server,
                             struct cs_failure *why);

/**
 * The descriptor that your poll loop watches for input: when it is readable, and when the deadline
 * has come, call cs_server_turn() with a timeout of 0. It stays the same, and is the server's: do
 * nothing else with it. -1 for NULL. May be called from callbacks and by any thread.
 */
int cs_server_fd(const struct cs_server *server);

/**
 * In how many milliseconds the next turn is due, if no event comes before: 0 at once, -1 never. It
 * is the timeout of a poll(). Ask before every wait: while more is ready than one turn takes, the
 * descriptor alone does not tell. In a callback it is 0.
 */
int cs_server_deadline(const struct cs_server *server);

/**
 * Runs one pass: waits for events, for at most so many milliseconds and never past the deadline,
 * and serves each connection that is ready, with the functions of your service. -1 waits for ever.
 *
 * Nothing that a peer does is an error.
 */
enum cs_status cs_server_turn(struct cs_server *server,
                              int timeout,
                              struct cs_failure *why);

/**
 * Serves until the server was told to drain or to stop by a cs_handle, and every connection is
 * closed.
 */
enum cs_status cs_server_run(struct cs_server *server,
                             struct cs_failure *why);

/**
 * Whether the server was told to drain or to stop, and every connection is closed. False in a
 * callback.
 */
bool cs_server_is_finished(const struct cs_server *server);

/**
 * Copies an address of the server to a buffer of `size` bytes, with a NUL: the one at this place,
 * from 0, in the order in which they were bound. CS_ERR_ARGUMENT if there is none. 64 bytes are
 * enough for IP addresses.
 */
enum cs_status cs_server_address(const struct cs_server *server,
                                 size_t place,
                                 char *text,
                                 size_t size);

/**
 * Sends a message to a peer between turns: one whose cs_peer_id() you have kept. What it needs to
 * be sent later is copied.
 *
 * CS_ERR_GONE if the connection is closed or closing; CS_ERR_FULL if the peer has not yet taken
 * what was sent before; CS_ERR_TOO_LONG and CS_ERR_UNSENDABLE. Nothing was sent then.
 */
enum cs_status cs_server_tell(struct cs_server *server,
                              uint64_t peer,
                              const uint8_t *message,
                              size_t length,
                              struct cs_failure *why);

/**
 * Closes a connection at once: unsent output is lost. CS_ERR_GONE if there is no such connection.
 */
enum cs_status cs_server_dismiss(struct cs_server *server,
                                 uint64_t peer,
                                 struct cs_failure *why);

/**
 * Replaces the keys of a listener, for new connections. The keys are copied. Open connections
 * stay: see cs_server_close_revoked().
 */
enum cs_status cs_server_replace_keys(struct cs_server *server,
                                      size_t listener,
                                      const struct cs_keys *keys,
                                      struct cs_failure *why);

/**
 * Closes the connections whose peers could no longer authenticate as they did, because their keys
 * were removed, have other secrets or have expired. If `count` is not NULL, *count is how many
 * they were.
 */
enum cs_status cs_server_close_revoked(struct cs_server *server,
                                       size_t *count,
                                       struct cs_failure *why);

/**
 * Sets whether connections are closed when their keys expire; by default they are.
 */
enum cs_status cs_server_set_close_expired(struct cs_server *server,
                                           bool closes,
                                           struct cs_failure *why);

/**
 * Replaces the limits of a listener. Open connections stay.
 */
enum cs_status cs_server_replace_limits(struct cs_server *server,
                                        size_t listener,
                                        const struct cs_limits *limits,
                                        struct cs_failure *why);

/**
 * Replaces the access lists of a listener, for new connections: see cs_listener_set_access().
 */
enum cs_status cs_server_replace_access(struct cs_server *server,
                                        size_t listener,
                                        const char *allow,
                                        const char *deny,
                                        struct cs_failure *why);

/**
 * Makes cs_server_turn() return also when a descriptor of yours becomes readable: a pipe that a
 * signal handler writes to, or a timer. The library duplicates it, and reads nothing from it.
 */
enum cs_status cs_server_wake_on(struct cs_server *server,
                                 int descriptor,
                                 struct cs_failure *why);

/**
 * Sets for how many microseconds each turn polls for events before it sleeps: replies come sooner,
 * and a core is always busy. The default is 0.
 */
enum cs_status cs_server_set_busy_poll(struct cs_server *server,
                                       uint64_t microseconds,
                                       struct cs_failure *why);

/**
 * Makes a handle, which controls the server from other threads and from its callbacks. This may be
 * called by them, too. On success, *handle is yours to free, before the server or after it.
 */
enum cs_status cs_server_handle(const struct cs_server *server,
                                struct cs_handle **handle,
                                struct cs_failure *why);

/**
 * Frees a server. NULL is allowed. Connections that are left are closed at once, and `closed` is
 * called for each; drain before to let them end in order.
 *
 * In a callback of the server it returns CS_ERR_REENTRANT, and frees nothing.
 */
enum cs_status cs_server_free(struct cs_server *server);

/**
 * Stops the server gracefully: it accepts no more connections, answers what has arrived, and is
 * finished when all connections are closed, at the latest after the limit `drain_timeout`.
 */
enum cs_status cs_handle_drain(const struct cs_handle *handle,
                               struct cs_failure *why);

/**
 * Stops the server at its next turn: all connections are closed, and unsent output is lost.
 */
enum cs_status cs_handle_stop(const struct cs_handle *handle,
                              struct cs_failure *why);

/**
 * Makes cs_server_turn() return.
 */
enum cs_status cs_handle_wake(const struct cs_handle *handle, struct cs_failure *why);

/**
 * Replaces the keys of a listener in the server's present turn, or in its next. The keys are
 * copied. With `close_revoked`, connections are closed then as by cs_server_close_revoked().
 */
enum cs_status cs_handle_replace_keys(const struct cs_handle *handle,
                                      size_t listener,
                                      const struct cs_keys *keys,
                                      bool close_revoked,
                                      struct cs_failure *why);

/**
 * Makes another handle of the same server. On success, *clone is yours to free.
 */
enum cs_status cs_handle_clone(const struct cs_handle *handle, struct cs_handle **clone);

/**
 * Frees a handle. NULL is allowed. The server is not touched.
 */
void cs_handle_free(struct cs_handle *handle);

/**
 * Fills in the statistics of a listener, or of CS_ALL_LISTENERS. It looks at every connection, so
 * call it when somebody wants to see them.
 */
enum cs_status cs_server_stats(const struct cs_server *server,
                               size_t listener,
                               struct cs_stats *stats,
                               struct cs_failure *why);

/**
 * Calls `each` for every reason for which connections have ended, with its count, in a fixed
 * order. `reason` is valid until `each` returns. `each` is not a callback of the server: it may
 * call it.
 */
enum cs_status cs_server_each_reason(const struct cs_server *server,
                                     size_t listener,
                                     void (*each)(void *user,
                                                  const char *reason,
                                                  uint64_t count),
                                     void *user,
                                     struct cs_failure *why);

/**
 * Calls `each` for every key of a listener, in the order of the ring, with its id, its fingerprint
 * (16 hexadecimal digits), how many peers have authenticated with it and how many of these are
 * connected now. The texts are valid until `each` returns. `each` is not a callback of the server:
 * it may call it.
 */
enum cs_status cs_server_each_key(const struct cs_server *server,
                                  size_t listener,
                                  void (*each)(void *user,
                                               const char *id,
                                               const char *fingerprint,
                                               uint64_t authenticated,
                                               uint64_t open),
                                  void *user,
                                  struct cs_failure *why);

/**
 * Connects to the first address that answers, such as "127.0.0.1:9527", "garden.example:9527" or
 * "unix:/run/garden.sock", and goes through the handshake, both in at most so many milliseconds;
 * -1 is the default, five seconds.
 *
 * In countersign/1 the server has then proved that it holds the key. Whether it accepts the
 * client's shows in the first cs_client_receive(): CS_ERR_REFUSED.
 *
 * On success, *client is yours to free. On failure, it is NULL.
 */
enum cs_status cs_client_connect(const char *address,
                                 const struct cs_session_config *config,
                                 int timeout,
                                 struct cs_client **client,
                                 struct cs_failure *why);

/**
 * Sets how many milliseconds a call may take from now on; -1 is for ever, and the default. A call
 * that takes longer returns CS_ERR_TIMEOUT. cs_client_receive() loses nothing then.
 */
enum cs_status cs_client_set_timeout(struct cs_client *client,
                                     int timeout);

/**
 * Sets whether calls return at once from now on. cs_client_send() then queues a message,
 * cs_client_flush() writes what the socket takes, and cs_client_receive() returns CS_ERR_TIMEOUT
 * if no whole message has arrived.
 *
 * Watch the descriptor for reading, and for writing while something is unsent. When it is
 * readable, call cs_client_receive() until it returns CS_ERR_TIMEOUT.
 */
enum cs_status cs_client_set_nonblocking(struct cs_client *client,
                                         bool is_nonblocking,
                                         struct cs_failure *why);

/**
 * The socket's descriptor, for a host that watches it. It is the client's: do nothing else with
 * it. -1 for NULL.
 */
int cs_client_fd(const struct cs_client *client);

/**
 * Sends a message.
 */
enum cs_status cs_client_send(struct cs_client *client,
                              const uint8_t *message,
                              size_t length,
                              struct cs_failure *why);

/**
 * Receives a message. *message is the client's, and valid until its next call. CS_ERR_ENDED if the
 * server has ended the stream in order.
 */
enum cs_status cs_client_receive(struct cs_client *client,
                                 const uint8_t **message,
                                 size_t *length,
                                 struct cs_failure *why);

/**
 * Sends a message and waits for the next one, as cs_client_send() and cs_client_receive() do.
 * After CS_ERR_TIMEOUT the reply may still come: receive it before you ask again.
 */
enum cs_status cs_client_ask(struct cs_client *client,
                             const uint8_t *message,
                             size_t length,
                             const uint8_t **reply,
                             size_t *reply_length,
                             struct cs_failure *why);

/**
 * Tells the server that no message follows. Replies can still be received.
 */
enum cs_status cs_client_finish(struct cs_client *client, struct cs_failure *why);

/**
 * Writes what is unsent; if calls don't wait, as much of it as the socket takes.
 */
enum cs_status cs_client_flush(struct cs_client *client, struct cs_failure *why);

/**
 * The number of bytes that wait to be written.
 */
size_t cs_client_unsent(const struct cs_client *client);

/**
 * Derives the secret of this label, of 32 bytes, which only the two ends of this connection can
 * derive. CS_ERR_UNSUPPORTED unless the dialect is countersign/1.
 */
enum cs_status cs_client_secret(const struct cs_client *client,
                                const char *label,
                                uint8_t *secret);

/**
 * Closes the connection and frees the client. NULL is allowed.
 */
void cs_client_free(struct cs_client *client);

/**
 * Begins the client's end. On success, *connection is yours to free.
 */
enum cs_status cs_connection_client(const struct cs_session_config *config,
                                    struct cs_connection **connection,
                                    struct cs_failure *why);

/**
 * Begins the server's end. On success, *connection is yours to free.
 *
 * Bound its time yourself: five seconds for the handshake, and then what suits you.
 */
enum cs_status cs_connection_server(const struct cs_session_config *config,
                                    struct cs_connection **connection,
                                    struct cs_failure *why);

/**
 * Takes from the front of the input, and says in *event what it has found. *input and *length are
 * moved behind what was taken. The input is only read, and needed during the call alone.
 *
 * If it fails, send the output, which may tell the other end why, and close the socket: each later
 * call fails, too.
 */
enum cs_status cs_connection_process(struct cs_connection *connection,
                                     const uint8_t **input,
                                     size_t *length,
                                     enum cs_input_event *event,
                                     struct cs_failure *why);

/**
 * Tells the connection that the other end has ended its stream. *event is CS_INPUT_MESSAGE if that
 * was the end of a last message, or CS_INPUT_END. It fails if messages may be missing.
 *
 * A connection that was reset or lost has not ended its stream: free it instead, or without
 * records a part of a message may look whole.
 */
enum cs_status cs_connection_input_ended(struct cs_connection *connection,
                                         enum cs_input_event *event,
                                         struct cs_failure *why);

/**
 * The message that has arrived last. *message is the connection's, and valid until its next
 * cs_connection_process() or cs_connection_input_ended().
 */
enum cs_status cs_connection_message(const struct cs_connection *connection,
                                     const uint8_t **message,
                                     size_t *length);

/**
 * The id of the key: at a server, the one that the client holds; at a client, its own. NULL before
 * the handshake is over. Valid until the connection is freed.
 */
const char *cs_connection_key(const struct cs_connection *connection);

/**
 * Sends a message: it is added to the output. CS_ERR_CLOSED if the handshake is not over, or the
 * connection has ended.
 */
enum cs_status cs_connection_send(struct cs_connection *connection,
                                  const uint8_t *message,
                                  size_t length,
                                  struct cs_failure *why);

/**
 * The same for a reply to the message that has arrived last: in the framing "lines", it ends as
 * that message did.
 */
enum cs_status cs_connection_reply(struct cs_connection *connection,
                                   const uint8_t *message,
                                   size_t length,
                                   struct cs_failure *why);

/**
 * Says that no message follows. Send the output, then end your stream.
 */
enum cs_status cs_connection_finish(struct cs_connection *connection);

/**
 * Ends the connection because its time is over: the output tells the other end. Send it, and close
 * the socket.
 */
enum cs_status cs_connection_time_out(struct cs_connection *connection);

/**
 * What is to be sent. *output is the connection's, and valid until its next call.
 */
enum cs_status cs_connection_output(const struct cs_connection *connection,
                                    const uint8_t **output,
                                    size_t *length);

/**
 * Says that the first bytes of the output were sent, so many.
 */
enum cs_status cs_connection_sent(struct cs_connection *connection, size_t length);

/**
 * Derives the secret of this label, of 32 bytes, which only the two ends of this connection can
 * derive. CS_ERR_UNSUPPORTED before the handshake of countersign/1 is over.
 */
enum cs_status cs_connection_secret(const struct cs_connection *connection,
                                    const char *label,
                                    uint8_t *secret);

/**
 * Frees a connection. NULL is allowed.
 */
void cs_connection_free(struct cs_connection *connection);

/**
 * Sends the lines of the log to a function of yours: those of this level (one of cs_log_level) and
 * more important ones. NULL ends that. There is one log in a process, whichever server writes it.
 *
 * The function is called by each thread that calls a server, in its turns: `user` must be valid as
 * long as there are any, also after the function was replaced. It may call everything but the
 * server whose turn it is.
 *
 * CS_ERR_UNSUPPORTED if the library was built without the feature `log`, or if a part of the
 * program that is in Rust has another logger.
 */
enum cs_status cs_log_to(cs_log_callback callback,
                         void *user,
                         int level,
                         struct cs_failure *why);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* COUNTERSIGN_HOST_H */
