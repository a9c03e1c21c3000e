/*
 * A peer for tests, with the command line of tests/python/peer.py, but for its key:
 *
 *     peer connect HOST:PORT --kid ID --key-hex HEX         each line of stdin is a message
 *     peer serve --bind HOST:PORT --kid ID --key-hex HEX    each comes back with a time in front
 *     --echo                            each comes back as it is
 *
 *     --audience NAME
 *     --records sealed|required|allowed|off
 *     --framing lines|length            where there are no records
 *     --batches never                   each message is a record of its own
 *     --depth N                         how many lines a client sends before it waits for replies
 *     --raw                             the dialect raw
 *     --cut                             leaves without a close record
 *
 * Exit codes of the client: 69 nobody listens, 74 truncated, 76 the server broke the protocol, 77
 * the ends don't agree, or the server did not prove that it knows the key.
 */
#include "../examples/posix.h"
#include "split.h"

#include <time.h>

struct options {
    const char *kid, *key, *audience, *framing, *records;
    char *address;
    long depth;
    int is_client, is_raw, is_cut, is_echo, has_batches;
};

/* One end of a connection. */
struct end {
    struct cs_session cs;
    const struct options *options;
    int fd;
    struct cs_bytes input;      /* What has arrived and was not given to the session. */
    uint8_t bytes[4096];        /* That. */
    uint8_t partial[1 << 17];   /* Without records: what has arrived of the next message. */
    size_t partial_length;
    long owed;                  /* How many replies a client waits for. */
};

static uint8_t in[4 + 16384], out[1 << 17];

static int is(const char *one, const char *other)
{
    return strcmp(one, other) == 0;
}

static int read_options(int argc, char **argv, struct options *options)
{
    const char **value;
    int i;

    for (i = 1; i < argc; i++) {
        options->is_client |= is(argv[i], "connect");
        options->is_raw |= is(argv[i], "--raw");
        options->is_cut |= is(argv[i], "--cut");
        options->is_echo |= is(argv[i], "--echo");
        value = is(argv[i], "--kid") ? &options->kid
            : is(argv[i], "--key-hex") ? &options->key
            : is(argv[i], "--audience") ? &options->audience
            : is(argv[i], "--framing") ? &options->framing
            : is(argv[i], "--records") ? &options->records : NULL;
        if (i + 1 < argc && value != NULL)
            *value = argv[++i];
        else if (i + 1 < argc && (is(argv[i], "connect") || is(argv[i], "--bind")))
            options->address = argv[++i];
        else if (i + 1 < argc && is(argv[i], "--depth"))
            options->depth = atol(argv[++i]);
        else if (i + 1 < argc && is(argv[i], "--batches"))
            options->has_batches = !is(argv[++i], "never");
    }
    return options->address != NULL && options->kid != NULL && options->key != NULL;
}

static enum cs_records requirement(const struct options *options)
{
    return is(options->records, "sealed") ? CS_SEALED
        : is(options->records, "allowed") ? CS_ALLOWED
        : is(options->records, "off") ? CS_OFF : CS_REQUIRED;
}

static int is_length(const struct end *end)
{
    return is(end->options->framing, "length");
}

/* Sends a message, in a frame where there are no records. */
static int say(struct end *end, const uint8_t *message, size_t length)
{
    uint8_t header[4] = { 0, 0, (uint8_t)(length >> 8), (uint8_t)length };
    struct cs_session *cs = &end->cs;
    enum cs_error error;

    if (!end->cs.has_records && is_length(end))
        cs_send(cs, header, sizeof header);
    while ((error = cs_send(cs, message, length)) == CS_NO_ROOM) {
        if (!send_output(cs, end->fd))
            return 0;
    }
    if (!end->cs.has_records && !is_length(end))
        cs_send(cs, "\n", 1);
    return error == CS_OK && (end->options->has_batches || send_output(cs, end->fd));
}

static void print_reply(struct end *end, struct cs_bytes message)
{
    fwrite(message.data, 1, message.length, stdout);
    putchar('\n');
    fflush(stdout);
    end->owed--;
}

static void echo(struct end *end, struct cs_bytes message)
{
    say(end, message.data, message.length);
}

static void reply(struct end *end, struct cs_bytes message)
{
    static uint8_t stamped[1 << 15];
    time_t now = time(NULL);
    const char *text = ctime(&now);
    size_t length = strcspn(text, "\n");

    stamped[0] = '[';
    memcpy(stamped + 1, text, length);
    memcpy(stamped + 1 + length, "] ", 2);
    if (message.length > 0)
        memcpy(stamped + 3 + length, message.data, message.length);
    say(end, stamped, 3 + length + message.length);
}

/* Tells the messages in a piece of a stream apart. */
static void receive_plain(struct end *end, void (*take)(struct end *, struct cs_bytes))
{
    struct cs_bytes message, piece = end->cs.message;
    size_t n, at = 0;

    memcpy(end->partial + end->partial_length, piece.data, piece.length);
    end->partial_length += piece.length;
    while ((n = split(is_length(end), end->partial + at, end->partial_length - at, &message)) > 0) {
        take(end, message);
        at += n;
    }
    end->partial_length -= at;
    memmove(end->partial, end->partial + at, end->partial_length);
}

/* The stream has ended: in lines, what is left is the last message. */
static enum cs_event last(struct end *end, void (*take)(struct end *, struct cs_bytes))
{
    struct cs_bytes message = { end->partial, end->partial_length };
    enum cs_event event = cs_ended(&end->cs);
    long owed = end->owed;

    if (event == CS_FAILED || end->partial_length == 0)
        return event;
    if (is_length(end)) {
        end->cs.error = CS_TRUNCATED;
        return CS_FAILED;
    }
    end->partial_length = 0;
    take(end, message);
    return owed > 0 && end->owed == 0 ? CS_MESSAGE : CS_CLOSED;
}

/* Waits for an event that is neither a message nor more input; or until no reply is owed. */
static enum cs_event proceed(struct end *end, void (*take)(struct end *, struct cs_bytes))
{
    long owed = end->owed;
    enum cs_event event;
    ssize_t n;

    for (;;) {
        event = cs_input(&end->cs, &end->input);
        if (event == CS_MESSAGE) {
            if (end->cs.has_records)
                take(end, end->cs.message);
            else
                receive_plain(end, take);
            if (owed > 0 && end->owed == 0)
                return CS_MESSAGE;
            continue;
        }
        /* What was received together is answered together. */
        if (!send_output(&end->cs, end->fd))
            return CS_FAILED;
        if (event != CS_WAIT && event != CS_FULL)
            return event;
        if (event == CS_FULL)
            continue;
        n = receive_input(end->fd, &end->input, end->bytes, sizeof end->bytes);
        if (n <= 0)
            return n < 0 ? CS_FAILED : last(end, take);
    }
}

static int exit_code(const struct cs_session *cs)
{
    fprintf(stderr, "peer: %s\n", why(cs));
    switch (cs->error) {
    case CS_BAD_PROOF:
    case CS_REFUSED:
    case CS_PROTECTION:
        return 77;
    case CS_OK:
    case CS_TRUNCATED:
        return 74;
    default:
        return 76;
    }
}

static int converse(struct end *end)
{
    char line[1 << 14];
    int i = 1;

    if (proceed(end, print_reply) != CS_OPEN)
        return exit_code(&end->cs);
    while (i > 0) {
        for (i = 0; i < end->options->depth && fgets(line, sizeof line, stdin) != NULL; i++) {
            say(end, (const uint8_t *)line, strcspn(line, "\n"));
            end->owed++;
        }
        if (i > 0 && proceed(end, print_reply) != CS_MESSAGE)
            return exit_code(&end->cs);
    }
    if (end->options->is_cut)
        return 0;
    cs_finish(&end->cs);
    if (!send_output(&end->cs, end->fd) || shutdown(end->fd, SHUT_WR) != 0)
        return 74;
    return proceed(end, print_reply) == CS_CLOSED ? 0 : exit_code(&end->cs);
}

static void serve(struct end *end)
{
    enum cs_event event;

    do
        event = proceed(end, end->options->is_echo ? echo : reply);
    while (event == CS_OPEN);
    if (event == CS_FAILED)
        fprintf(stderr, "peer: %s\n", why(&end->cs));
    if (!end->options->is_cut)
        cs_finish(&end->cs);
    send_output(&end->cs, end->fd);
    hang_up(end->fd);
}

static int run_server(const struct cs_config *config, const struct options *options,
                      const char *port)
{
    static struct end end;
    uint8_t random[CS_RANDOM];
    int listener = listen_at(port);

    while (listener >= 0) {
        memset(&end, 0, sizeof end);
        end.options = options;
        end.fd = accept_one(listener);
        if (end.fd < 0 || !draw(random, sizeof random))
            break;
        if (options->is_raw)
            cs_raw_server(&end.cs, config, random, in, sizeof in, out, sizeof out);
        else
            cs_server(&end.cs, config, random, in, sizeof in, out, sizeof out);
        serve(&end);
    }
    return failed("cannot accept");
}

static int run_client(const struct cs_config *config, const struct options *options,
                      const char *host, const char *port)
{
    static struct end end;
    uint8_t random[CS_RANDOM];

    end.options = options;
    end.fd = dial(host, port);
    if (end.fd < 0)
        return 69;
    if (!draw(random, sizeof random))
        return failed("no random bytes");
    if (options->is_raw)
        cs_raw_client(&end.cs, config, in, sizeof in, out, sizeof out);
    else
        cs_client(&end.cs, config, random, in, sizeof in, out, sizeof out);
    return converse(&end);
}

int main(int argc, char **argv)
{
    struct options options = { NULL, NULL, "", "lines", "required", NULL, 1, 0, 0, 0, 0, 1 };
    struct cs_key key;
    struct cs_config config = { &key, 1, CS_REQUIRED, { 0 }, { 0 } };
    char *port;

    if (!read_options(argc, argv, &options) || (port = strrchr(options.address, ':')) == NULL)
        return usage("peer connect|serve --bind HOST:PORT --kid ID --key-hex HEX [options]");
    if (!read_key(&key, options.kid, options.key, options.audience))
        return failed("such a key can't be used");
    *port++ = '\0';
    config.records = requirement(&options);
    if (!draw(config.instance, sizeof config.instance) || !draw(config.decoy, sizeof config.decoy))
        return failed("no random bytes");
    if (options.is_client)
        return run_client(&config, &options, options.address, port);
    return run_server(&config, &options, port);
}
